import { useState } from "react";
import type { ModelInfo } from "../../../schemas/limits.ts";
import { useLateView } from "../../components/late-dialog.ts";
import type { Draft } from "../../state/draft.ts";
import styles from "./curl-box.module.css";

interface Given {
  readonly draft: Draft;
  readonly model: ModelInfo;
}

/** The same request as a command for a shell, for each API that takes it. The code is loaded when it is first unfolded. */
export function CurlBox(given: Given) {
  const [wasOpened, setWasOpened] = useState(false);
  return (
    <details className={styles.box} onToggle={() => setWasOpened(true)}>
      <summary>As a curl line</summary>
      {wasOpened && <LateForms {...given} />}
    </details>
  );
}

const loadForms = () => import("./curl-forms.tsx");

function LateForms(given: Given) {
  const Forms = useLateView(loadForms);
  return Forms === null ? null : <Forms {...given} />;
}
