import type { ReactNode } from "react";
import type { JobCounts } from "../../../schemas/job.ts";
import field from "../../components/field.module.css";
import { entryFromText, entryText, type Filter } from "../../state/filter.ts";

export interface FiltersProps {
  readonly filter: Filter;
  readonly counts: JobCounts | null;
  readonly onChange: (filter: Filter) => void;
}

/** The filters that are folded away at first, with the number of jobs of each choice. */
export default function Filters({ filter, counts, onChange }: FiltersProps) {
  const models = withChosen(
    (counts?.models ?? []).map(({ model, jobs }) => ({ value: model, label: `${model} (${jobs})` })),
    filter.model === null ? null : { value: filter.model, label: filter.model },
  );
  const entries = withChosen(
    (counts?.metadata ?? []).map(({ key, value, jobs }) => ({
      value: entryText({ key, value }),
      label: `${key}: ${value} (${jobs})`,
    })),
    filter.metadata === null
      ? null
      : { value: entryText(filter.metadata), label: `${filter.metadata.key}: ${filter.metadata.value}` },
  );
  return (
    <>
      <Choice label="Model" id="filter-model">
        <select
          id="filter-model"
          className={field.control}
          value={filter.model ?? ""}
          onChange={({ target }) => onChange({ ...filter, model: target.value || null })}
        >
          <option value="">Any model</option>
          {models.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </Choice>
      <Choice label="Made from" id="filter-workflow">
        <select
          id="filter-workflow"
          className={field.control}
          value={filter.workflow ?? ""}
          onChange={({ target: { value } }) => {
            const workflow = value === "image-from-text" || value === "image-from-reference" ? value : null;
            onChange({ ...filter, workflow });
          }}
        >
          <option value="">Text and reference</option>
          <option value="image-from-text">Text</option>
          <option value="image-from-reference">Reference</option>
        </select>
      </Choice>
      <Choice label="Up to" id="filter-until">
        <input
          id="filter-until"
          type="date"
          className={field.control}
          value={filter.until ?? ""}
          onChange={({ target }) => onChange({ ...filter, until: target.value || null })}
        />
      </Choice>
      {entries.length > 0 && (
        <Choice label="Metadata" id="filter-metadata">
          <select
            id="filter-metadata"
            className={field.control}
            value={filter.metadata === null ? "" : entryText(filter.metadata)}
            onChange={({ target }) => onChange({ ...filter, metadata: entryFromText(target.value) })}
          >
            <option value="">Any</option>
            {entries.map(({ value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </Choice>
      )}
    </>
  );
}

interface Option {
  readonly value: string;
  readonly label: string;
}

/** The options together with the chosen one, also when no job has it at the moment. */
function withChosen(options: readonly Option[], chosen: Option | null): readonly Option[] {
  const isThere = chosen === null || options.some(({ value }) => value === chosen.value);
  return isThere ? options : [...options, chosen];
}

interface ChoiceProps {
  readonly label: string;
  readonly id: string;
  readonly children: ReactNode;
}

function Choice({ label, id, children }: ChoiceProps) {
  return (
    <div>
      <label htmlFor={id} className={field.label}>
        {label}
      </label>
      {children}
    </div>
  );
}
