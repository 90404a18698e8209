import styles from "./choice-group.module.css";

export interface Choice<Value extends string | number> {
  readonly value: Value;
  readonly label: string;
}

interface ChoiceGroupProps<Value extends string | number> {
  readonly legend: string;
  readonly hideLegend?: boolean;
  /** Unique on the page: radio buttons of one name belong together. */
  readonly name: string;
  readonly choices: readonly Choice<Value>[];
  readonly value: Value;
  readonly onChange: (value: Value) => void;
}

/** One of a few: real radio buttons, drawn as a row of segments, so that arrow keys and screen readers know them. */
export function ChoiceGroup<Value extends string | number>(props: ChoiceGroupProps<Value>) {
  const { legend, hideLegend = false, name, choices, value, onChange } = props;
  return (
    <fieldset className={styles.group}>
      <legend className={hideLegend ? "unseen" : styles.legend}>{legend}</legend>
      <div className={styles.row}>
        {choices.map((choice) => (
          <label key={choice.value} className={styles.choice}>
            <input
              type="radio"
              name={name}
              checked={choice.value === value}
              onChange={() => onChange(choice.value)}
              className="unseen"
            />
            {choice.label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
