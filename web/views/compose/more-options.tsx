import { useFold } from "../../components/fold.ts";
import { useLateView } from "../../components/late-dialog.ts";
import { type Draft, FRESH_DRAFT } from "../../state/draft.ts";
import type { DraftField } from "../../state/draft-check.ts";
import type { FieldProps } from "./field-props.ts";
import styles from "./more-options.module.css";

/** The folded fields that may be wrong. */
const FOLDED: readonly DraftField[] = ["negativePrompt", "maxAttempts", "deadlineSeconds"];

/**
 * Options that few people change, folded away; open at first when one of them is set, and once one of them is wrong. The code is
 * loaded when it is first open.
 */
export function MoreOptions({ draft, model, findings }: FieldProps) {
  const wrong = findings.find(({ field, level }) => level === "error" && FOLDED.includes(field));
  const [open, setOpen] = useFold(wrong?.field ?? null, isAnySet(draft, model));
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

/** Whether any option folded away here, and shown for this model, is set. Attempts and deadline do not count. */
function isAnySet(draft: Draft, { supports }: FieldProps["model"]): boolean {
  return (
    (supports.negativePrompt && draft.negativePrompt !== FRESH_DRAFT.negativePrompt) ||
    (supports.promptExtend && draft.promptExtend !== FRESH_DRAFT.promptExtend) ||
    (supports.promptExtendMode && draft.promptExtendMode !== FRESH_DRAFT.promptExtendMode) ||
    (supports.thinking && draft.thinking !== FRESH_DRAFT.thinking) ||
    (supports.watermark && draft.watermark !== FRESH_DRAFT.watermark) ||
    Object.keys(draft.metadata).length > 0 ||
    draft.priority !== FRESH_DRAFT.priority ||
    draft.onUncertain !== FRESH_DRAFT.onUncertain
  );
}
