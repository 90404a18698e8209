import { type ReactNode, useEffect, useRef, useState } from "react";
import type { JobCounts, JobStatus } from "../../../schemas/job.ts";
import { ChoiceGroup } from "../../components/choice-group.tsx";
import field from "../../components/field.module.css";
import { Icon } from "../../components/icon.tsx";
import { useCounts } from "../../data/counts.ts";
import { useStore } from "../../data/store.ts";
import { chooseDensity, density as densityStore, endSelecting, isSelecting } from "../../data/wall.ts";
import { type Filter, isNarrowed, type Show, STATUSES_OF } from "../../state/filter.ts";
import styles from "./wall-head.module.css";

const SHOWS: readonly { readonly value: Show; readonly label: string }[] = [
  { value: "all", label: "All" },
  { value: "active", label: "In progress" },
  { value: "ready", label: "Ready" },
  { value: "failed", label: "Failed" },
  { value: "canceled", label: "Canceled" },
];

const DENSITIES = [
  { value: "cards", label: "Cards", icon: "cards" },
  { value: "small", label: "Small", icon: "small" },
  { value: "bare", label: "Prints only", icon: "bare" },
] as const;

interface WallHeadProps {
  readonly filter: Filter;
  readonly onChange: (filter: Filter) => void;
}

/** What of the wall is shown, and how: a search, the filters with their counts, the density, and the way into choosing. */
export function WallHead({ filter, onChange }: WallHeadProps) {
  const counts = useCounts(filter);
  const selecting = useStore(isSelecting);
  const density = useStore(densityStore);
  const [open, setOpen] = useState(isNarrowed({ ...filter, q: "" }));
  return (
    <header className={styles.head}>
      <div className={styles.row}>
        <h2 id="wall-title" tabIndex={-1} data-heir>
          Prints
        </h2>
        <Search q={filter.q} onChange={(q) => onChange({ ...filter, q })} />
        <ChoiceGroup
          legend="Density"
          hideLegend
          name="density"
          choices={DENSITIES}
          value={density}
          onChange={chooseDensity}
        />
        <button
          type="button"
          className={styles.tool}
          aria-pressed={selecting}
          onClick={() => (selecting ? endSelecting() : isSelecting.set(true))}
        >
          Select
        </button>
      </div>
      <div className={styles.row}>
        <ChoiceGroup
          legend="Which jobs"
          hideLegend
          name="show"
          choices={SHOWS.map((choice) => ({ ...choice, detail: countOf(counts, choice.value) }))}
          value={filter.show}
          onChange={(show) => onChange({ ...filter, show })}
        />
        <button
          type="button"
          className={styles.tool}
          aria-expanded={open}
          aria-controls="wall-filters"
          data-active={isNarrowed({ ...filter, q: "" }) || undefined}
          onClick={() => setOpen(!open)}
        >
          <Icon name="filter" /> Filter
        </button>
      </div>
      <div id="wall-filters" className={styles.filters} hidden={!open}>
        {open && <Filters filter={filter} counts={counts} onChange={onChange} />}
      </div>
    </header>
  );
}

/** How many jobs a choice shows, as text; "" where that is not known. */
function countOf(counts: JobCounts | null, show: Show): string {
  if (counts === null) return "";
  const statuses = STATUSES_OF[show] ?? (Object.keys(counts.status) as JobStatus[]);
  const sum = statuses.reduce((all, status) => all + (counts.status[status] ?? 0), 0);
  return `${sum}${counts.isAll || sum === 0 ? "" : "+"}`;
}

/** While somebody types, before it is searched for, in ms. */
const TYPING_MS = 250;

/** Searches prompts as one types. Slash leads here, as on many pages. */
function Search({ q, onChange }: { readonly q: string; readonly onChange: (q: string) => void }) {
  const [typed, setTyped] = useState(q);
  const [known, setKnown] = useState(q);
  const input = useRef<HTMLInputElement>(null);
  // The address changed by other means: Back, or "Show all jobs".
  if (q !== known) {
    setKnown(q);
    setTyped(q);
  }
  useEffect(() => {
    if (typed.trim() === q) return;
    const timer = setTimeout(() => onChange(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isWritten = event.target instanceof Element && event.target.matches(":read-write");
      if (event.key !== "/" || isWritten || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <label className={styles.search}>
      <Icon name="search" />
      <span className="unseen">Search prompts</span>
      <input
        ref={input}
        type="search"
        dir="auto"
        placeholder="Search prompts"
        maxLength={200}
        value={typed}
        onChange={({ target }) => setTyped(target.value)}
        onKeyDown={({ key }) => {
          if (key === "Escape") setTyped("");
        }}
      />
    </label>
  );
}

interface FiltersProps extends WallHeadProps {
  readonly counts: JobCounts | null;
}

function Filters({ filter, counts, onChange }: FiltersProps) {
  const models = withChosen(
    (counts?.models ?? []).map(({ model, jobs }) => ({ value: model, label: `${model} (${jobs})` })),
    filter.model,
  );
  const entries = withChosen(
    (counts?.metadata ?? []).map(({ key, value, jobs }) => ({
      value: `${key}=${value}`,
      label: `${key}: ${value} (${jobs})`,
    })),
    filter.metadata === null ? null : `${filter.metadata.key}=${filter.metadata.value}`,
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
            value={filter.metadata === null ? "" : `${filter.metadata.key}=${filter.metadata.value}`}
            onChange={({ target }) => {
              const [key = "", value = ""] = target.value.split(/=(.*)/s);
              onChange({ ...filter, metadata: key === "" ? null : { key, value } });
            }}
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

/** The options with the chosen one, which no job may have at the moment. */
function withChosen(options: readonly Option[], chosen: string | null): readonly Option[] {
  const isThere = chosen === null || options.some(({ value }) => value === chosen);
  return isThere ? options : [...options, { value: chosen, label: chosen.replace("=", ": ") }];
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
