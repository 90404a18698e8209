import { type KeyboardEvent, type RefObject, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useServerMinute } from "../../data/server-clock.ts";
import { type Density, lastWallPlace, leaveWall } from "../../data/wall.ts";
import { groupByDay } from "../../state/job-list.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import { JobCard } from "./job-card.tsx";
import styles from "./job-wall.module.css";

/** The least width of a card, and the gap between two, in rem. */
const LEAST_WIDTH: Readonly<Record<Density, number>> = { cards: 16.5, small: 11, bare: 8.5 };
const GAP: Readonly<Record<Density, number>> = { cards: 1, small: 0.75, bare: 0.5 };

/** The height of a day's heading, in rem. */
const DAY_HEIGHT = 3;

/** Rows beyond the window's edges that are drawn too, so that none is blank while a person scrolls or presses Tab. */
const OVERSCAN = 4;

type Row =
  | { readonly kind: "day"; readonly day: string }
  | { readonly kind: "cards"; readonly day: string; readonly jobs: readonly ListedJob[] };

interface WallGridProps {
  readonly jobs: readonly ListedJob[];
  readonly density: Density;
  /** The address's query: a person comes back to the place that was left under the same query. */
  readonly search: string;
}

/**
 * The cards, day by day. Only those near the window are in the document, so their number is bounded for any number of jobs.
 * All cards have one height, so that the place of each is computed, and nothing moves when a card is drawn.
 */
export function WallGrid({ jobs, density, search }: WallGridProps) {
  const nowMs = useServerMinute();
  const box = useRef<HTMLDivElement>(null);
  const { columns, cardHeight, top, rem, isMeasured } = useMeasures(box, density);
  const gap = GAP[density] * rem;
  const order = useOrder(jobs);

  const rows = useMemo((): Row[] => {
    return groupByDay(jobs, nowMs).flatMap(({ day, jobs: ofDay }) => {
      const cards: Row[] = [];
      for (let at = 0; at < ofDay.length; at += columns) {
        cards.push({ kind: "cards", day, jobs: ofDay.slice(at, at + columns) });
      }
      return [{ kind: "day", day } as const, ...cards];
    });
  }, [jobs, nowMs, columns]);

  /** The top of each row, and the bottom of the last, in pixels from the first. */
  const edges = useMemo(() => {
    const found = [0];
    for (const { kind } of rows)
      found.push((found.at(-1) ?? 0) + (kind === "day" ? DAY_HEIGHT * rem : cardHeight + gap));
    return found;
  }, [rows, cardHeight, gap, rem]);
  const { first, end } = useSight(rows, edges, top, isMeasured, () => startOf(search));
  useReturn(search, isMeasured);

  const days = daysOf(rows, edges, first, end);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the arrow keys are a shortcut between links that Tab reaches too.
    <div
      ref={box}
      className={styles.rows}
      style={{
        height: `${edges.at(-1) ?? 0}px`,
        "--columns": columns,
        "--gap": `${gap}px`,
        "--day-height": `${DAY_HEIGHT}rem`,
      }}
      onKeyDown={(event) => moveByArrow(event, order(), columns)}
    >
      {days.map(({ day, top: dayTop, cards }) => (
        <section key={day} aria-label={day} className={styles.section} style={{ top: `${dayTop}px` }}>
          <h3 className={styles.day}>{day}</h3>
          <ul>
            {cards.map(({ job, top: cardTop, column }) => (
              <li key={job.id} className={styles.place} style={{ top: `${cardTop - dayTop}px`, "--column": column }}>
                <JobCard job={job} density={density} order={order} />
              </li>
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}

/** The rows from `first` to before `end`, which are those near the window. */
interface Sight {
  readonly first: number;
  readonly end: number;
}

/**
 * Follows which rows are near the window. When rows are added or removed above the visible jobs, or a job moves to another row,
 * the window scrolls with it. `start`: the scroll position when the grid is first drawn.
 */
function useSight(
  rows: readonly Row[],
  edges: readonly number[],
  top: number,
  isMeasured: boolean,
  start: () => number,
): Sight {
  const [scrollY, setScrollY] = useState(start);
  const [known, setKnown] = useState({ rows, edges, isMeasured });
  const [moved, setMoved] = useState({ by: 0 });
  if (known.edges !== edges) {
    setKnown({ rows, edges, isMeasured });
    const by = known.isMeasured && scrollY > top ? moveOf(known, { rows, edges }, scrollY - top) : 0;
    if (by !== 0) {
      setScrollY(scrollY + by);
      setMoved({ by });
    }
  }
  useLayoutEffect(() => {
    if (moved.by !== 0) window.scrollBy(0, moved.by);
  }, [moved]);
  useEffect(() => {
    const follow = () => setScrollY(window.scrollY);
    addEventListener("scroll", follow, { passive: true });
    addEventListener("resize", follow);
    return () => {
      removeEventListener("scroll", follow);
      removeEventListener("resize", follow);
    };
  }, []);
  const first = rowAt(edges, scrollY - top);
  const end = rowAt(edges, scrollY - top + innerHeight) + 1;
  return { first: Math.max(0, first - OVERSCAN), end: Math.min(rows.length, end + OVERSCAN) };
}

interface Laid {
  readonly rows: readonly Row[];
  readonly edges: readonly number[];
}

/** How far the first visible job that is still there moved, in pixels; 0 when there is none. */
function moveOf(before: Laid, after: Laid, offset: number): number {
  for (let at = rowAt(before.edges, offset); at < before.rows.length; at += 1) {
    const row = before.rows[at];
    if (row?.kind !== "cards") continue;
    const ids = new Set(row.jobs.map(({ id }) => id));
    const now = after.rows.findIndex((other) => other.kind === "cards" && other.jobs.some(({ id }) => ids.has(id)));
    if (now >= 0) return (after.edges[now] ?? 0) - (before.edges[at] ?? 0);
  }
  return 0;
}

/** The row in which an offset lies, by binary search. */
function rowAt(edges: readonly number[], offset: number): number {
  let low = 0;
  let high = edges.length - 1;
  while (low + 1 < high) {
    const middle = (low + high) >> 1;
    if ((edges[middle] ?? 0) <= offset) low = middle;
    else high = middle;
  }
  return low;
}

interface DrawnCard {
  readonly job: ListedJob;
  /** In pixels from the first row. */
  readonly top: number;
  readonly column: number;
}

interface DrawnDay {
  readonly day: string;
  readonly top: number;
  readonly cards: readonly DrawnCard[];
}

/** The cards of the rows from `first` to before `end`, by day, each at its computed place. */
function daysOf(rows: readonly Row[], edges: readonly number[], first: number, end: number): DrawnDay[] {
  const days: { day: string; top: number; cards: DrawnCard[] }[] = [];
  for (let at = first; at < end; at += 1) {
    const row = rows[at];
    if (row === undefined) continue;
    let last = days.at(-1);
    if (last?.day !== row.day) {
      const heading = rows.findLastIndex((other, index) => index <= at && other.kind === "day");
      last = { day: row.day, top: edges[heading] ?? 0, cards: [] };
      days.push(last);
    }
    if (row.kind === "cards") {
      for (const [column, job] of row.jobs.entries()) last.cards.push({ job, top: edges[at] ?? 0, column });
    }
  }
  return days;
}

/** A stable function that returns the ids in their current order, so that cards are not drawn again when the order changes. */
function useOrder(jobs: readonly ListedJob[]): () => readonly string[] {
  const latest = useRef(jobs);
  latest.current = jobs;
  return useRef(() => latest.current.map(({ id }) => id)).current;
}

/** The measures of the grid: the number of columns, the others in pixels. */
function useMeasures(box: RefObject<HTMLDivElement | null>, density: Density) {
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  const [measures, setMeasures] = useState({ columns: 1, cardHeight: 24 * rem, top: 0, isMeasured: false });
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const measure = () => {
      const gap = GAP[density] * rem;
      const columns = Math.max(1, Math.floor((element.clientWidth + gap) / (LEAST_WIDTH[density] * rem + gap)));
      const card = element.querySelector("article");
      const top = element.getBoundingClientRect().top + window.scrollY;
      setMeasures((now) => {
        // A card has its final height only once it has its final width.
        const isMeasured = card !== null && now.columns === columns;
        const guess = (element.clientWidth / columns) * 0.75 + 9 * rem;
        const cardHeight = isMeasured ? card.getBoundingClientRect().height : guess;
        const isSame =
          now.columns === columns &&
          now.isMeasured === isMeasured &&
          Math.abs(now.cardHeight - cardHeight) < 0.1 &&
          Math.abs(now.top - top) < 0.5;
        return isSame ? now : { columns, cardHeight, top, isMeasured };
      });
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    // In a narrow window the form is above the wall, and its height changes.
    observer.observe(document.body);
    return () => observer.disconnect();
  });
  return { ...measures, rem };
}

/** The scroll position at which the wall was left, when it has the same query; else the current one. */
function startOf(search: string): number {
  const place = lastWallPlace();
  return place.search === search ? place.scrollY : window.scrollY;
}

/** Far more frames than drawing the rows takes after coming back. */
const FRAMES_TO_DRAW = 30;

/**
 * Restores the place where the wall was left: the scroll position, and the focus on the job that the person comes from, unless the
 * focus is in the form by then.
 */
function useReturn(search: string, isMeasured: boolean): void {
  const returned = useRef(false);
  useLayoutEffect(() => {
    if (returned.current || !isMeasured) return;
    returned.current = true;
    const { scrollY, jobId, search: leftSearch } = lastWallPlace();
    if (leftSearch !== search || jobId === null) return;
    window.scrollTo(0, scrollY);
    // The rows there are drawn once the window has scrolled.
    const focus = (frames: number) => {
      if (document.activeElement?.closest("form") != null) return;
      if (!focusCard(jobId) && frames > 0) requestAnimationFrame(() => focus(frames - 1));
    };
    focus(FRAMES_TO_DRAW);
  }, [search, isMeasured]);
  // A layout effect, so that the listener is removed together with the wall: the shorter document would scroll to its top.
  useLayoutEffect(() => {
    if (lastWallPlace().search !== search) leaveWall({ search, scrollY: window.scrollY, jobId: null });
    const keep = () => leaveWall({ search, scrollY: window.scrollY, jobId: lastWallPlace().jobId });
    addEventListener("scroll", keep, { passive: true });
    return () => removeEventListener("scroll", keep);
  }, [search]);
}

function cardOf(id: string): HTMLElement | null {
  return document.querySelector<HTMLElement>(`[data-job="${id}"] [data-heir]`);
}

/** False when the card is not in the document. */
function focusCard(id: string): boolean {
  const card = cardOf(id);
  card?.focus();
  return card !== null;
}

/** Moves the focus from card to card: along a row, and from row to row. */
function moveByArrow(event: KeyboardEvent, order: readonly string[], columns: number): void {
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
  };
  const step = steps[event.key];
  const from = (event.target as Element).closest("[data-heir]")?.closest("[data-job]")?.getAttribute("data-job");
  if (step === undefined || from == null || event.altKey || event.ctrlKey || event.metaKey) return;
  const next = order[order.indexOf(from) + step];
  if (next === undefined || cardOf(next) === null) return;
  event.preventDefault();
  focusCard(next);
}
