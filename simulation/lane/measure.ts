import type { Priority } from "../../schemas/job.ts";
import type { Quota } from "../../schemas/limits.ts";
import type { Ticket } from "../../worker/lane/contract.ts";

/** Numbers to take percentiles of: all of them, or an even sample once there are many. */
export class Sample {
  readonly #values: number[] = [];
  #seen = 0;
  #every = 1;

  add(value: number): void {
    this.#seen += 1;
    if (this.#seen % this.#every !== 0) return;
    this.#values.push(value);
    if (this.#values.length < 200_000) return;
    this.#every *= 2;
    for (let at = 0; at < this.#values.length; at += 1) this.#values.splice(at, 1);
  }

  get size(): number {
    return this.#seen;
  }

  /** `null` for an empty sample. */
  percentile(share: number): number | null {
    const sorted = this.#values.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null;
  }
}

/** The least starts of a backlog: in a shorter one the arrivals decide, not the lane. */
const STARTS_OF_A_BACKLOG = 50;

/** The most starts that upstream saw in any window of its period, and the share of the quota that a backlog used. */
export class QuotaUse {
  readonly #quota: Quota;
  readonly #recent: number[] = [];
  /** The starts since a job began to wait; `null` while none waits. */
  #backlog: number[] | null = null;
  #running = 0;
  #sinceMs = 0;
  #used = 0;
  #allowed = 0;
  mostInAWindow = 0;

  constructor(quota: Quota) {
    this.#quota = quota;
  }

  /** A job waits. */
  waits(now: number): void {
    this.#passTo(now);
    this.#backlog ??= [];
  }

  started(now: number, waiting: number): void {
    while ((this.#recent[0] ?? now) < now - this.#quota.periodMs) this.#recent.shift();
    this.#recent.push(now);
    this.mostInAWindow = Math.max(this.mostInAWindow, this.#recent.length);
    this.#passTo(now);
    this.#running += 1;
    this.#backlog?.push(now);
    if (waiting === 0) this.#endBacklog();
  }

  ended(now: number): void {
    this.#passTo(now);
    this.#running -= 1;
  }

  /** Where `inProgress` is the limit: adds the time that places were taken while a job waited. */
  #passTo(now: number): void {
    const { inProgress } = this.#quota;
    if (inProgress !== null && this.#backlog !== null) {
      this.#used += (now - this.#sinceMs) * this.#running;
      this.#allowed += (now - this.#sinceMs) * inProgress;
    }
    this.#sinceMs = now;
  }

  /** Without that limit: adds the starts of a backlog, from one start to another of the same phase. */
  #endBacklog(): void {
    const { starts, periodMs, inProgress } = this.#quota;
    const startsMs = this.#backlog ?? [];
    this.#backlog = null;
    const whole = Math.floor((startsMs.length - 1) / starts) * starts;
    if (inProgress !== null || whole < STARTS_OF_A_BACKLOG) return;
    this.#used += whole;
    this.#allowed += (((startsMs[whole] ?? 0) - (startsMs[0] ?? 0)) * starts) / periodMs;
  }

  share(): number {
    this.#endBacklog();
    return this.#used / this.#allowed;
  }
}

interface ClientCount {
  waiting: number;
  since: number;
  starts: number;
}

/**
 * How fairly clients were served. The clients that waited in a priority through a whole stretch of starts are each due the same
 * number of them. `worst` is the smallest share of that number that any client got.
 */
export class Fairness {
  readonly #stretch: number;
  readonly #clients = new Map<string, ClientCount>();
  #starts = 0;
  worst: number | null = null;
  compared = 0;

  constructor(stretch: number) {
    this.#stretch = stretch;
  }

  #countOf({ client, priority }: Ticket): ClientCount {
    const key = `${priority} ${client}`;
    const known = this.#clients.get(key) ?? { waiting: 0, since: this.#starts, starts: 0 };
    this.#clients.set(key, known);
    return known;
  }

  joined(ticket: Ticket): void {
    const count = this.#countOf(ticket);
    if (count.waiting === 0) count.since = this.#starts;
    count.waiting += 1;
  }

  started(ticket: Ticket): void {
    const count = this.#countOf(ticket);
    count.waiting -= 1;
    count.starts += 1;
    this.#starts += 1;
    if (this.#starts % this.#stretch === 0) this.#compare();
  }

  #compare(): void {
    const through: Record<Priority, number[]> = { high: [], normal: [], low: [] };
    for (const [key, count] of this.#clients) {
      const [priority] = key.split(" ") as [Priority];
      const isThrough = count.waiting > 0 && count.since <= this.#starts - this.#stretch;
      if (isThrough) through[priority].push(count.starts);
      count.starts = 0;
      if (count.waiting === 0) this.#clients.delete(key);
    }
    for (const starts of Object.values(through)) {
      const due = starts.reduce((sum, each) => sum + each, 0) / starts.length;
      // Fewer than ten turns each say little: one turn more or less is chance.
      if (starts.length < 2 || due < 10) continue;
      this.compared += starts.length;
      this.worst = Math.min(this.worst ?? 1, Math.min(...starts) / due);
    }
  }
}
