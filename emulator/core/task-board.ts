/** The states of asynchronous tasks, computed from facts and the time. Without timers, so a restart loses nothing. */

/** How a task will end. */
export type TaskFate =
  | { readonly kind: "succeed"; readonly failedImages: number }
  | { readonly kind: "fail"; readonly code: string; readonly message?: string | undefined }
  | { readonly kind: "stuck"; readonly status: "PENDING" | "RUNNING" }
  | { readonly kind: "unknown" };

export interface TaskFacts {
  readonly id: string;
  readonly keyHash: string;
  readonly model: string;
  readonly submittedAtMs: number;
  readonly durationMs: number;
  /** How many tasks of this key and model run at once; null: no limit. */
  readonly inProgress: number | null;
  readonly fate: TaskFate;
}

export type TaskStatus = "PENDING" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELED" | "UNKNOWN";

/** An asynchronous task without a result after 3 h fails (the vendor's error page). */
const TASK_TIMEOUT_MS = 3 * 3_600_000;

interface Entry<Facts extends TaskFacts> {
  readonly facts: Facts;
  startedAtMs: number | null;
  endedAtMs: number | null;
  canceledAtMs: number | null;
  timedOut: boolean;
}

export interface TaskView<Facts extends TaskFacts> extends Readonly<Entry<Facts>> {
  readonly status: TaskStatus;
}

interface Lane<Facts extends TaskFacts> {
  pending: Entry<Facts>[];
  running: Entry<Facts>[];
}

function endsAtMs<Facts extends TaskFacts>(entry: Entry<Facts>): number {
  const startedAtMs = entry.startedAtMs ?? entry.facts.submittedAtMs;
  return entry.facts.fate.kind === "stuck"
    ? entry.facts.submittedAtMs + TASK_TIMEOUT_MS
    : startedAtMs + entry.facts.durationMs;
}

/**
 * Tasks of one key and model run in the order in which they came, at most `inProgress` at once. Time is passed in and never
 * goes back.
 */
export class TaskBoard<Facts extends TaskFacts> {
  readonly #entries = new Map<string, Entry<Facts>>();
  readonly #lanes = new Map<string, Lane<Facts>>();

  add(facts: Facts): void {
    const entry: Entry<Facts> = { facts, startedAtMs: null, endedAtMs: null, canceledAtMs: null, timedOut: false };
    this.#entries.set(facts.id, entry);
    if (facts.fate.kind === "unknown") return;
    const key = `${facts.keyHash} ${facts.model}`;
    const lane = this.#lanes.get(key) ?? { pending: [], running: [] };
    this.#lanes.set(key, lane);
    lane.pending.push(entry);
    this.#start(lane, facts.submittedAtMs);
  }

  /** Starts and ends the tasks that are due by `nowMs`. Returns those that ended, oldest first. */
  advance(nowMs: number): TaskView<Facts>[] {
    const ended: Entry<Facts>[] = [];
    for (const lane of this.#lanes.values()) {
      for (;;) {
        const next = this.#nextToEnd(lane);
        if (next === null || endsAtMs(next) > nowMs) break;
        next.endedAtMs = endsAtMs(next);
        next.timedOut = next.facts.fate.kind === "stuck";
        lane.running = lane.running.filter((entry) => entry !== next);
        lane.pending = lane.pending.filter((entry) => entry !== next);
        ended.push(next);
        this.#start(lane, next.endedAtMs);
      }
    }
    ended.sort((a, b) => (a.endedAtMs ?? 0) - (b.endedAtMs ?? 0));
    return ended.map((entry) => ({ ...entry, status: entry.facts.fate.kind === "succeed" ? "SUCCEEDED" : "FAILED" }));
  }

  /** Cancels a PENDING task; false when there is no such task, or it is not PENDING. Call `advance` first. */
  cancel(id: string, nowMs: number): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.startedAtMs !== null || entry.endedAtMs !== null || entry.canceledAtMs !== null) {
      return false;
    }
    if (entry.facts.fate.kind === "unknown") return false;
    entry.canceledAtMs = nowMs;
    entry.endedAtMs = nowMs;
    for (const lane of this.#lanes.values()) lane.pending = lane.pending.filter((waiting) => waiting !== entry);
    return true;
  }

  /** The task in its current state, `UNKNOWN` once `keptMs` have passed since its end; null when there never was such a task. */
  view(id: string, nowMs: number, keptMs: number): TaskView<Facts> | null {
    const entry = this.#entries.get(id);
    return entry === undefined ? null : { ...entry, status: this.#status(entry, nowMs, keptMs) };
  }

  /** Every task, in the order they came. */
  views(nowMs: number, keptMs: number): TaskView<Facts>[] {
    return Array.from(this.#entries.values(), (entry) => ({ ...entry, status: this.#status(entry, nowMs, keptMs) }));
  }

  #status(entry: Entry<Facts>, nowMs: number, keptMs: number): TaskStatus {
    const { fate } = entry.facts;
    if (fate.kind === "unknown") return "UNKNOWN";
    if (entry.endedAtMs !== null) {
      if (nowMs - entry.endedAtMs > keptMs) return "UNKNOWN";
      if (entry.canceledAtMs !== null) return "CANCELED";
      return fate.kind === "succeed" ? "SUCCEEDED" : "FAILED";
    }
    return entry.startedAtMs === null ? "PENDING" : "RUNNING";
  }

  #nextToEnd(lane: Lane<Facts>): Entry<Facts> | null {
    let next: Entry<Facts> | null = null;
    for (const entry of lane.running) if (next === null || endsAtMs(entry) < endsAtMs(next)) next = entry;
    for (const entry of lane.pending) {
      if (entry.facts.fate.kind !== "stuck" || entry.facts.fate.status !== "PENDING") continue;
      if (next === null || endsAtMs(entry) < endsAtMs(next)) next = entry;
    }
    return next;
  }

  #start(lane: Lane<Facts>, atMs: number): void {
    lane.pending = lane.pending.filter((entry) => {
      const { fate, inProgress } = entry.facts;
      if (fate.kind === "stuck" && fate.status === "PENDING") return true;
      if (inProgress !== null && lane.running.length >= inProgress) return true;
      entry.startedAtMs = Math.max(atMs, entry.facts.submittedAtMs);
      lane.running.push(entry);
      return false;
    });
  }
}
