import { useEffect, useEffectEvent, useRef, useState } from "react";
import type { JobCounts, JobStatus } from "../../../schemas/job.ts";
import { ChoiceGroup } from "../../components/choice-group.tsx";
import { Icon } from "../../components/icon.tsx";
import { useLateView } from "../../components/late-dialog.ts";
import { useCounts } from "../../data/counts.ts";
import { useStore } from "../../data/store.ts";
import { chooseDensity, density as densityStore, endSelecting, isSelecting } from "../../data/wall.ts";
import { type Filter, isNarrowed, type Show, STATUSES_OF } from "../../state/filter.ts";
import type { FiltersProps } from "./filters.tsx";
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

/** The controls of the wall: a search, the filters with their counts, the density, and the button that begins choosing. */
export function WallHead({ filter, onChange }: WallHeadProps) {
  const counts = useCounts(filter);
  const selecting = useStore(isSelecting);
  const density = useStore(densityStore);
  const [open, setOpen] = useState(isNarrowedInside(filter));
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
          aria-pressed={filter.pinned}
          onClick={() => onChange({ ...filter, pinned: !filter.pinned })}
        >
          <Icon name={filter.pinned ? "ready" : "pin"} /> Pinned
        </button>
        <button
          type="button"
          className={styles.tool}
          aria-expanded={open}
          aria-controls="wall-filters"
          data-active={isNarrowedInside(filter) || undefined}
          onClick={() => setOpen(!open)}
        >
          <Icon name="filter" /> Filter
        </button>
      </div>
      <div id="wall-filters" className={styles.filters} hidden={!open}>
        {open && <LateFilters filter={filter} counts={counts} onChange={onChange} />}
      </div>
    </header>
  );
}

/** Whether one of the filters that are folded away narrows the wall. */
function isNarrowedInside(filter: Filter): boolean {
  return isNarrowed({ ...filter, q: "", pinned: false });
}

/** How many jobs a choice shows, as text; "" before the counts are known. */
function countOf(counts: JobCounts | null, show: Show): string {
  if (counts === null) return "";
  const statuses = STATUSES_OF[show] ?? (Object.keys(counts.status) as JobStatus[]);
  const sum = statuses.reduce((all, status) => all + (counts.status[status] ?? 0), 0);
  return `${sum}${counts.isAll || sum === 0 ? "" : "+"}`;
}

const loadFilters = () => import("./filters.tsx");

/** The code of the filters is loaded when they are first unfolded. */
function LateFilters(props: FiltersProps) {
  const Filters = useLateView(loadFilters);
  return Filters === null ? null : <Filters {...props} />;
}

/** The wait after the last letter before the search, in ms. */
const TYPING_MS = 250;

/** Searches prompts while a person types. The slash key moves the focus here, as on many pages. */
function Search({ q, onChange }: { readonly q: string; readonly onChange: (q: string) => void }) {
  const [typed, setTyped] = useState(q);
  const [known, setKnown] = useState(q);
  const [isComposing, setComposing] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  // The address changed: by the typed text, which then stays unchanged, or otherwise (Back, "Show all jobs").
  if (q !== known) {
    setKnown(q);
    if (q !== typed.trim()) setTyped(q);
  }
  const search = useEffectEvent(onChange);
  // The wait counts from the last letter, also when the wall is drawn again meanwhile.
  useEffect(() => {
    if (isComposing || typed.trim() === q) return;
    const timer = setTimeout(() => search(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, q, isComposing]);
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
        onCompositionStart={() => setComposing(true)}
        onCompositionEnd={() => setComposing(false)}
        onKeyDown={({ key, nativeEvent }) => {
          // While a word is composed, Escape belongs to the input method.
          if (key === "Escape" && !nativeEvent.isComposing) setTyped("");
        }}
      />
    </label>
  );
}
