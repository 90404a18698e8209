import { MAX_SEED } from "../../../schemas/submit.ts";
import field from "../../components/field.module.css";
import { Findings, isInvalid } from "../../components/findings.tsx";
import { fieldMark } from "../../components/focus.ts";
import { Icon } from "../../components/icon.tsx";
import { changeDraft } from "../../data/draft-store.ts";
import type { FieldProps } from "./field-props.ts";
import styles from "./seed-field.module.css";

export function SeedField({ draft, findings }: FieldProps) {
  const set = (seed: string) => changeDraft({ type: "set", change: { seed } });
  return (
    <div {...fieldMark("seed")}>
      <label htmlFor="seed" className={field.label}>
        Seed
      </label>
      <div className={styles.row}>
        <input
          id="seed"
          className={field.control}
          inputMode="numeric"
          autoComplete="off"
          placeholder="random"
          value={draft.seed}
          onChange={({ target }) => set(target.value)}
          aria-describedby="seed-findings"
          aria-invalid={isInvalid("seed", findings)}
        />
        {draft.seed === "" ? (
          <button
            type="button"
            onClick={() => set(String(Math.floor(Math.random() * MAX_SEED)))}
            aria-label="Draw a seed, to repeat it later"
            title="Draw a seed, to repeat it later"
          >
            <Icon name="dice" />
          </button>
        ) : (
          <button type="button" onClick={() => set("")} aria-label="Clear the seed" title="Clear the seed">
            <Icon name="close" />
          </button>
        )}
      </div>
      <Findings id="seed-findings" field="seed" findings={findings} />
    </div>
  );
}
