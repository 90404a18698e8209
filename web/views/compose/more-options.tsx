import { ChoiceGroup } from "../../components/choice-group.tsx";
import field from "../../components/field.module.css";
import { Findings } from "../../components/findings.tsx";
import { changeDraft } from "../../data/draft-store.ts";
import type { Draft } from "../../state/draft.ts";
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

/** What few need to change, folded away; open when something in it is set. */
export function MoreOptions({ draft, model, findings }: FieldProps) {
  const set = (change: Partial<Omit<Draft, "workflow" | "model" | "images">>) => changeDraft({ type: "set", change });
  const { supports } = model;
  return (
    <details className={styles.more} open={draft.negativePrompt !== "" ? true : undefined}>
      <summary>More options</summary>
      <div className={styles.fields}>
        {supports.negativePrompt && (
          <div className={field.field}>
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
