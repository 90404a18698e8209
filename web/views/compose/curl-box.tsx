import type { ModelInfo } from "../../../schemas/limits.ts";
import { CopyButton } from "../../components/copy-button.tsx";
import { access } from "../../data/access.ts";
import { useForClient } from "../../data/operator.ts";
import { useStore } from "../../data/store.ts";
import type { Draft } from "../../state/draft.ts";
import { curlLine, requestFields } from "../../state/draft-request.ts";
import styles from "./curl-box.module.css";

/** The same request for a shell. */
export function CurlBox({ draft, model }: { readonly draft: Draft; readonly model: ModelInfo }) {
  const gate = useStore(access);
  const withToken = gate.kind === "open" && gate.health.authMode === "token";
  const line = curlLine(location.origin, draft, requestFields(draft, model), withToken, useForClient());
  return (
    <details className={styles.box}>
      <summary>As a curl line</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard. */}
      <pre tabIndex={0}>{line}</pre>
      <CopyButton text={line} label="Copy" done="curl line copied" look="quiet" />
    </details>
  );
}
