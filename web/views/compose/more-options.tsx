import { useFold } from "../../components/fold.ts";
import { useLateView } from "../../components/late-dialog.ts";
import { isFolded, isFoldedSet } from "../../state/draft.ts";
import type { Finding } from "../../state/draft-check.ts";
import type { FieldProps } from "./field-props.ts";
import styles from "./more-options.module.css";

/** Whether a finding is about a folded field. The API and its findings count the deadline in seconds, the draft in minutes. */
const isOnFolded = ({ field }: Finding): boolean => isFolded(field === "deadlineSeconds" ? "deadline" : field);

/**
 * Options that few people change, folded away; open at first when one of them is set, and once one of them is wrong. The code is
 * loaded when it is first open.
 */
export function MoreOptions({ draft, model, findings }: FieldProps) {
  const wrong = findings.find((finding) => finding.level === "error" && isOnFolded(finding));
  const [open, setOpen] = useFold(wrong?.field ?? null, isFoldedSet(draft, model.supports));
  return (
    <details className={styles.more} open={open} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>More options</summary>
      {open && <LateFields draft={draft} model={model} findings={findings} />}
    </details>
  );
}

const loadFields = () => import("./more-fields.tsx");

function LateFields(props: FieldProps) {
  const Fields = useLateView(loadFields);
  return Fields === null ? null : <Fields {...props} />;
}
