import type { JobFact } from "../worker/job/core/job-fact.ts";
import type { JobRecord } from "../worker/job/core/job-record.ts";

/** Where a job is, as its record says. */
export const PLACES = [
  "queued",
  "queued, a call still open",
  "generating",
  "generating, with a task",
  "waiting for open calls",
  "storing",
  "retrying",
  "retrying, a call still open",
  "retrying, with a task",
  "succeeded",
  "failed",
  "canceled",
] as const;
export type Place = (typeof PLACES)[number];

/** Every fact there is; one that is missing here does not compile. */
const FACT_NAMES: Readonly<Record<JobFact["type"], true>> = {
  enqueued: true,
  ticket_missing: true,
  attempt_began: true,
  task_accepted: true,
  delivered: true,
  call_failed: true,
  task_lost: true,
  task_read: true,
  task_found_canceled: true,
  call_lost: true,
  budget_ended: true,
  late_window_ended: true,
  image_stored: true,
  store_failed: true,
  backoff_ended: true,
  deadline_passed: true,
  cancel: true,
  retry: true,
  released: true,
  observed: true,
  left: true,
  task_canceled: true,
  cataloged: true,
  catalog_missed: true,
};
export const FACTS = Object.keys(FACT_NAMES) as readonly JobFact["type"][];

/** The state machine's one entry, where its facts are counted: the hooks wrap this function of this file. */
export const COUNTED = { file: "worker/job/core/transition.ts", name: "transition" } as const;

export interface Cell {
  taken: number;
  refused: number;
}

/** How often each fact came in each place, and whether it was taken. */
export class Coverage {
  readonly cells = new Map<string, Cell>();

  count(record: JobRecord, fact: JobFact["type"], isTaken: boolean): void {
    const key = `${placeOf(record)} × ${fact}`;
    const cell = this.cells.get(key) ?? { taken: 0, refused: 0 };
    if (isTaken) cell.taken += 1;
    else cell.refused += 1;
    this.cells.set(key, cell);
  }

  add(cells: Readonly<Record<string, Cell>>): void {
    for (const [key, { taken, refused }] of Object.entries(cells)) {
      const cell = this.cells.get(key) ?? { taken: 0, refused: 0 };
      this.cells.set(key, { taken: cell.taken + taken, refused: cell.refused + refused });
    }
  }

  /** Rows of text: a row a fact, a column a place; `.` where the fact never came, lower case where it was only refused. */
  table(): string[] {
    const width = Math.max(...FACTS.map((fact) => fact.length));
    const legend = PLACES.map((place, index) => `  ${letter(index)} ${place}`);
    const head = `${"".padEnd(width)}  ${PLACES.map((_place, index) => letter(index)).join(" ")}`;
    const rows = FACTS.map((fact) => {
      const marks = PLACES.map((place) => {
        const cell = this.cells.get(`${place} × ${fact}`);
        if (cell === undefined) return ".";
        return cell.taken > 0 ? "X" : "x";
      });
      return `${fact.padEnd(width)}  ${marks.join(" ")}`;
    });
    const came = this.cells.size;
    const taken = [...this.cells.values()].filter((cell) => cell.taken > 0).length;
    return [
      `place × fact: ${came} of ${PLACES.length * FACTS.length} cells were reached, ${taken} of them taken (X taken, x refused only, . never)`,
      head,
      ...rows,
      ...legend,
    ];
  }
}

function letter(index: number): string {
  return String.fromCharCode(97 + index);
}

function placeOf({ state, attempts, task }: JobRecord): Place {
  const isOpen = attempts.some((attempt) => attempt.stillOpen);
  switch (state.status) {
    case "queued":
      return isOpen ? "queued, a call still open" : "queued";
    case "retrying":
      if (task !== null) return "retrying, with a task";
      return isOpen ? "retrying, a call still open" : "retrying";
    case "running": {
      if (state.phase === "storing") return "storing";
      const isRunning = attempts.some(({ outcome }) => outcome === null);
      if (!isRunning) return "waiting for open calls";
      return task === null ? "generating" : "generating, with a task";
    }
    default:
      return state.status;
  }
}
