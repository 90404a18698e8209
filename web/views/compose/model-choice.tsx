import type { ModelInfo } from "../../../schemas/limits.ts";
import field from "../../components/field.module.css";
import { changeDraft } from "../../data/draft-store.ts";
import type { Draft } from "../../state/draft.ts";
import { modelsFor, priceWords, quotaWords } from "../../state/model-words.ts";
import { capitalised } from "../../state/sentence.ts";

interface ModelChoiceProps {
  readonly draft: Draft;
  readonly model: ModelInfo;
  readonly models: readonly ModelInfo[];
}

/** The choice of the model, with its quota and price in words. */
export function ModelChoice({ draft, model, models }: ModelChoiceProps) {
  return (
    <div className={field.field}>
      <label htmlFor="model" className={field.label}>
        Model
      </label>
      <select
        id="model"
        className={field.control}
        value={model.model}
        onChange={({ target }) => changeDraft({ type: "model", model: target.value })}
        aria-describedby="model-words"
      >
        {modelsFor(draft.workflow, models).map((known) => (
          <option key={known.model} value={known.model}>
            {known.model} ({priceWords(known)})
          </option>
        ))}
      </select>
      <p id="model-words" className={field.hint}>
        {capitalised(quotaWords(model.quota))} for the whole account, {priceWords(model)}
        {model.maxN === 1 && ", one image a job"}.
      </p>
    </div>
  );
}
