import { ChoiceGroup } from "../../components/choice-group.tsx";
import { fieldMark } from "../../components/focus.ts";
import { changeDraft } from "../../data/draft-store.ts";
import type { FieldProps } from "./field-props.ts";
import { SeedField } from "./seed-field.tsx";
import styles from "./size-and-count.module.css";
import { SizeChoices } from "./size-choices.tsx";

export function SizeAndCount({ draft, model, findings }: FieldProps) {
  const counts = Array.from({ length: model.maxN }, (_, index) => ({ value: index + 1, label: String(index + 1) }));
  return (
    <>
      <SizeChoices draft={draft} model={model} findings={findings} />
      <div className={styles.row}>
        {model.maxN > 1 && (
          <div {...fieldMark("n")}>
            <ChoiceGroup
              legend="Images"
              name="count"
              choices={counts}
              value={Math.min(draft.n, model.maxN)}
              onChange={(n) => changeDraft({ type: "set", change: { n } })}
            />
          </div>
        )}
        {model.supports.seed && <SeedField draft={draft} model={model} findings={findings} />}
      </div>
    </>
  );
}
