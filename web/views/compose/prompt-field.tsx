import field from "../../components/field.module.css";
import { Findings, isInvalid } from "../../components/findings.tsx";
import { fieldMark } from "../../components/focus.ts";
import { changeDraft } from "../../data/draft-store.ts";
import { CharCount } from "./char-count.tsx";
import type { FieldProps } from "./field-props.ts";
import styles from "./prompt-field.module.css";

export function PromptField({ draft, model, findings }: FieldProps) {
  const reference = draft.workflow === "image-from-reference";
  return (
    <div className={field.field} {...fieldMark("prompt")}>
      <div className={styles.head}>
        <label htmlFor="prompt" className={field.label}>
          {reference ? "What to change" : "Prompt"}
        </label>
        <CharCount text={draft.prompt} max={model.promptMaxChars} />
      </div>
      <textarea
        id="prompt"
        data-heir
        dir="auto"
        className={styles.prompt}
        value={draft.prompt}
        onChange={({ target }) => changeDraft({ type: "set", change: { prompt: target.value } })}
        placeholder={
          reference ? "Put the logo of image 2 on the bag of image 1" : "A red bicycle leaning on a wall in the rain"
        }
        aria-describedby="prompt-count prompt-findings"
        aria-invalid={isInvalid("prompt", findings)}
        rows={4}
      />
      <Findings id="prompt-findings" field="prompt" findings={findings} />
    </div>
  );
}
