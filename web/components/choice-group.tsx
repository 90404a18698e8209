import styles from "./choice-group.module.css";
import { Icon, type IconName } from "./icon.tsx";

export interface Choice<Value extends string | number> {
  readonly value: Value;
  readonly label: string;
  /** Drawn instead of the label, which is then the choice's name and tooltip. */
  readonly icon?: IconName;
  /** Beside the label, smaller: a count. */
  readonly detail?: string;
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

/** A choice among a few: real radio buttons, so that arrow keys and screen readers work, drawn as a row of segments. */
export function ChoiceGroup<Value extends string | number>(props: ChoiceGroupProps<Value>) {
  const { legend, hideLegend = false, name, choices, value, onChange } = props;
  return (
    <fieldset className={styles.group}>
      <legend className={hideLegend ? "unseen" : styles.legend}>{legend}</legend>
      <div className={styles.row}>
        {choices.map((choice) => (
          <label key={choice.value} className={styles.choice} title={choice.icon && choice.label}>
            <input
              type="radio"
              name={name}
              checked={choice.value === value}
              onChange={() => onChange(choice.value)}
              aria-label={choice.icon || choice.detail ? choice.label : undefined}
              aria-description={choice.detail ? `${choice.detail} jobs` : undefined}
              className="unseen"
            />
            {choice.icon === undefined ? choice.label : <Icon name={choice.icon} />}
            {choice.detail && <span className={styles.detail}>{choice.detail}</span>}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
