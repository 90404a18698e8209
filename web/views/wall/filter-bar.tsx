import { ChoiceGroup } from "../../components/choice-group.tsx";
import type { Filter, Show } from "../../state/job-list.ts";
import styles from "./filter-bar.module.css";

const SHOWS: readonly { readonly value: Show; readonly label: string }[] = [
  { value: "all", label: "All" },
  { value: "active", label: "In progress" },
  { value: "ready", label: "Ready" },
  { value: "failed", label: "Failed" },
];

interface FilterBarProps {
  readonly filter: Filter;
  readonly onChange: (filter: Filter) => void;
}

export function FilterBar({ filter, onChange }: FilterBarProps) {
  return (
    <div className={styles.bar}>
      <ChoiceGroup
        legend="Which jobs"
        hideLegend
        name="show"
        choices={SHOWS}
        value={filter.show}
        onChange={(show) => onChange({ ...filter, show })}
      />
      <label>
        <span className="unseen">Made from</span>
        <select
          className={styles.select}
          value={filter.workflow ?? ""}
          onChange={({ target }) => {
            const { value } = target;
            const workflow = value === "image-from-text" || value === "image-from-reference" ? value : null;
            onChange({ ...filter, workflow });
          }}
        >
          <option value="">Text and reference</option>
          <option value="image-from-text">From text</option>
          <option value="image-from-reference">From reference</option>
        </select>
      </label>
    </div>
  );
}
