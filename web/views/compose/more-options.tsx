import { ChoiceGroup } from "../../components/choice-group.tsx";
import field from "../../components/field.module.css";
import { Findings, isInvalid } from "../../components/findings.tsx";
import { fieldMark } from "../../components/focus.ts";
import { useFold } from "../../components/fold.ts";
import { changeDraft } from "../../data/draft-store.ts";
import { type Draft, FRESH_DRAFT } from "../../state/draft.ts";
import type { FieldProps } from "./field-props.ts";
import styles from "./more-options.module.css";

const EXTEND = [
  { value: "auto", label: "Model's choice" },
  { value: "on", label: "On" },
  { value: "off", label: "Off" },
] as const;

const PRIORITIES = [
  { value: "high", label: "High" },
  { value: "normal", label: "Normal" },
  { value: "low", label: "Low" },
] as const;

/** What few need to change, folded away; open at first when something in it is set, and once something in it is wrong. */
export function MoreOptions({ draft, model, findings }: FieldProps) {
  const set = (change: Partial<Omit<Draft, "workflow" | "model" | "images">>) => changeDraft({ type: "set", change });
  const { supports } = model;
  const wrong = isInvalid("negativePrompt", findings);
  const [open, setOpen] = useFold(wrong ? "wrong" : null, isAnySet(draft, model));
  return (
    <details className={styles.more} open={open} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>More options</summary>
      <div className={styles.fields}>
        {supports.negativePrompt && (
          <div className={field.field} {...fieldMark("negativePrompt")}>
            <label htmlFor="negative-prompt" className={field.label}>
              Negative prompt: what must not be there
            </label>
            <textarea
              id="negative-prompt"
              dir="auto"
              className={field.control}
              rows={2}
              value={draft.negativePrompt}
              onChange={({ target }) => set({ negativePrompt: target.value })}
              aria-describedby="negative-findings"
              aria-invalid={wrong}
              placeholder="blurry, text, watermark"
            />
            <Findings id="negative-findings" field="negativePrompt" findings={findings} />
          </div>
        )}
        {supports.promptExtend && (
          <ChoiceGroup
            legend="Let the model enrich the prompt"
            name="extend"
            choices={EXTEND}
            value={draft.promptExtend === null ? "auto" : draft.promptExtend ? "on" : "off"}
            onChange={(value) => set({ promptExtend: value === "auto" ? null : value === "on" })}
          />
        )}
        <ChoiceGroup
          legend="Priority in the line"
          name="priority"
          choices={PRIORITIES}
          value={draft.priority}
          onChange={(priority) => set({ priority })}
        />
        <label className={styles.check}>
          <input
            type="checkbox"
            checked={draft.onUncertain === "retry"}
            onChange={({ target }) => set({ onUncertain: target.checked ? "retry" : "fail" })}
          />
          <span>
            Try again when an attempt ends without an answer
            <small>Such an attempt may have been charged; without this the job fails instead.</small>
          </span>
        </label>
        {supports.watermark && (
          <label className={styles.check}>
            <input
              type="checkbox"
              checked={draft.watermark}
              onChange={({ target }) => set({ watermark: target.checked })}
            />
            <span>Visible watermark of the model</span>
          </label>
        )}
      </div>
    </details>
  );
}

/** Whether anything of what is folded away here, and shown for this model, is other than in a fresh draft. */
function isAnySet(draft: Draft, { supports }: FieldProps["model"]): boolean {
  return (
    (supports.negativePrompt && draft.negativePrompt !== FRESH_DRAFT.negativePrompt) ||
    (supports.promptExtend && draft.promptExtend !== FRESH_DRAFT.promptExtend) ||
    (supports.watermark && draft.watermark !== FRESH_DRAFT.watermark) ||
    draft.priority !== FRESH_DRAFT.priority ||
    draft.onUncertain !== FRESH_DRAFT.onUncertain
  );
}
