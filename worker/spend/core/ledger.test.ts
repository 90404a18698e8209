import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../../../test/support/properties.ts";
import { type Grant, Ledger, type LedgerJob, type LedgerRow, type LedgerStorage } from "./ledger.ts";
import { monthEndsAtMs, monthOf } from "./money.ts";
import { type BilledAttempt, daysOf, estimateMicros, runningBills, type SpendPosition, totalOf } from "./position.ts";

const START_MS = Date.UTC(2026, 10, 28, 9);
const UNIT = 75_000;
const IMAGES = 2;
const MODEL = "qwen-image-max";
/** Room for three attempts, and a little more that is not enough for one: stories reach the limit early and stay near it. */
const LIMIT = 3 * IMAGES * UNIT + UNIT;

/** A list of jobs and the ledger's books in memory, as an object's storage would keep them. */
class Books implements LedgerStorage {
  readonly rows = new Map<string, LedgerRow>();
  readonly jobs = new Map<string, LedgerJob | "gone">();
  #grants: readonly Grant[] = [];

  monthSum(month: string) {
    const rows = [...this.rows.values()].filter(({ day }) => monthOf(day) === month);
    return totalOf(rows);
  }

  add(row: LedgerRow): void {
    const key = `${row.day} ${row.model}`;
    const known = this.rows.get(key);
    this.rows.set(key, {
      day: row.day,
      model: row.model,
      jobs: (known?.jobs ?? 0) + row.jobs,
      images: (known?.images ?? 0) + row.images,
      chargedMicros: (known?.chargedMicros ?? 0) + row.chargedMicros,
      atRiskMicros: (known?.atRiskMicros ?? 0) + row.atRiskMicros,
    });
  }

  grants = () => this.#grants;
  putGrants(grants: readonly Grant[]): void {
    this.#grants = grants;
  }

  reservedByJobs(): number {
    return [...this.jobs.values()].reduce((sum, job) => sum + (job === "gone" ? 0 : job.position.reservedMicros), 0);
  }

  job = (jobId: string) => this.jobs.get(jobId) ?? null;
}

/** The part of a job that changes money. */
class Life {
  readonly id: string;
  attempts: BilledAttempt[] = [];
  seq = 1;
  grants = 1;
  /** Whether the next attempt's money is reserved. */
  isReserved = true;
  isDone = false;

  constructor(id: string) {
    this.id = id;
  }

  position(): SpendPosition {
    const open = runningBills(this.attempts) + (this.isReserved ? 1 : 0);
    return {
      grants: this.grants,
      reservedMicros: open * estimateMicros(IMAGES, UNIT),
      days: daysOf(this.attempts, IMAGES, UNIT),
    };
  }

  get running(): BilledAttempt | undefined {
    return this.attempts.find(({ outcome }) => outcome === null);
  }

  patch(number: number, patch: Partial<BilledAttempt>): void {
    this.attempts = this.attempts.map((attempt) => (attempt.number === number ? { ...attempt, ...patch } : attempt));
  }

  end(): void {
    const { running } = this;
    if (running !== undefined) this.patch(running.number, { outcome: "canceled", mayBeBilled: true });
    this.isReserved = false;
    this.isDone = true;
  }
}

const OPS = [
  "submit",
  "submit, then crash",
  "submit, and be slow",
  "store the slow submission",
  "start",
  "fail unbilled",
  "end without an answer",
  "deliver",
  "deliver late",
  "cancel",
  "ask for a repetition",
  "ask, but lose the answer",
  "repeat the oldest request",
  "notify the list",
  "remove",
  "wait for the next month",
  "wait 8 s",
  "ask jobs of overdue grants",
  "give up grants that no job has taken",
] as const;
type Op = (typeof OPS)[number];

/**
 * Applies facts to some jobs and one ledger. After each fact the limit must hold for what the jobs spent, not only for what is
 * booked.
 */
class World {
  readonly books = new Books();
  readonly ledger = new Ledger(this.books);
  readonly lives = new Map<string, Life>();
  readonly requests: Grant[] = [];
  /** Submissions on their way to their object, which refuses them after this moment. */
  readonly #slow = new Map<string, number>();
  /** Grants whose jobs have answered that they have not taken them, or that there is no job. */
  #unused: readonly Grant[] = [];
  #askedAtMs = START_MS;
  nowMs = START_MS;

  play(op: Op, jobId: string): void {
    const job = this.lives.get(jobId);
    if (op === "wait for the next month") {
      this.nowMs = monthEndsAtMs(this.nowMs);
    } else if (op === "wait 8 s") {
      this.nowMs += 8_000;
    } else if (op === "repeat the oldest request") {
      const request = this.requests.shift();
      if (request !== undefined) this.ledger.reserve(request, LIMIT, this.nowMs);
    } else if (op === "give up grants that no job has taken") {
      this.ledger.release(this.#unused, this.#askedAtMs);
    } else if (op === "ask jobs of overdue grants") {
      this.#askedAtMs = this.nowMs;
      const overdue = this.ledger.overdue(this.nowMs);
      this.#unused = overdue.filter(({ jobId: id, number }) => (this.lives.get(id)?.grants ?? 0) < number);
    } else if (job === undefined) {
      if (op === "submit" || op === "submit, then crash") this.submit(jobId, op === "submit");
      if (op === "submit, and be slow") this.submit(jobId, false);
      if (op === "store the slow submission" && this.nowMs <= (this.#slow.get(jobId) ?? 0))
        this.lives.set(jobId, new Life(jobId));
    } else {
      this.move(op, job);
    }
  }

  submit(jobId: string, isMade: boolean): void {
    const micros = estimateMicros(IMAGES, UNIT);
    const untilMs = this.nowMs + 10_000;
    if (this.ledger.reserve({ jobId, number: 1, micros, seq: 0, untilMs }, LIMIT, this.nowMs) !== "granted") return;
    this.#slow.set(jobId, untilMs);
    if (isMade) this.lives.set(jobId, new Life(jobId));
  }

  move(op: Op, job: Life): void {
    const { running } = job;
    const moved = (() => {
      switch (op) {
        case "start": {
          if (!job.isReserved || job.isDone || running !== undefined) return false;
          const number = job.attempts.length + 1;
          job.isReserved = false;
          job.attempts = [
            ...job.attempts,
            { number, startedAtMs: this.nowMs, outcome: null, mayBeBilled: true, images: 0, taskId: null },
          ];
          return true;
        }
        case "fail unbilled":
          if (running === undefined) return false;
          job.patch(running.number, { outcome: "failed", mayBeBilled: false });
          job.isReserved = true;
          return true;
        case "end without an answer":
          if (running === undefined) return false;
          job.patch(running.number, { outcome: "timed_out" });
          return true;
        case "deliver":
          if (running === undefined) return false;
          job.patch(running.number, { outcome: "succeeded", images: IMAGES });
          job.end();
          return true;
        case "deliver late": {
          const late = job.attempts.find(({ outcome }) => outcome === "timed_out");
          if (late === undefined || job.isDone) return false;
          job.patch(late.number, { outcome: "succeeded_late", images: 1 });
          job.end();
          return true;
        }
        case "cancel":
          if (job.isDone) return false;
          job.end();
          return true;
        default:
          return false;
      }
    })();
    if (moved) job.seq += 1;
    // The job is submitted again by its key: its money is reserved already, or spent.
    if (op === "submit" && this.books.job(job.id) !== null) this.submit(job.id, false);
    if (op === "ask for a repetition" || op === "ask, but lose the answer")
      this.ask(job, op === "ask for a repetition");
    if (op === "notify the list" || op === "remove") this.notify(job);
    if (op === "remove") {
      job.end();
      job.seq += 1;
      this.notify(job);
      this.books.jobs.set(job.id, "gone");
    }
  }

  /** An automatic repetition after an attempt without an answer, or a retry by hand of a job that is done. */
  ask(job: Life, isHeard: boolean): void {
    if (job.isReserved || job.running !== undefined || job.attempts.some(({ images }) => images > 0)) return;
    const micros = estimateMicros(IMAGES, UNIT);
    const untilMs = job.isDone ? this.nowMs + 10_000 : null;
    const request = { jobId: job.id, number: job.grants + 1, micros, seq: job.seq, untilMs };
    this.requests.push(request);
    const answer = this.ledger.reserve(request, LIMIT, this.nowMs);
    if (!isHeard) return;
    if (answer === "granted") {
      job.grants += 1;
      job.isReserved = true;
      job.isDone = false;
    } else if (!job.isDone) {
      job.end();
    } else {
      return;
    }
    job.seq += 1;
  }

  notify(job: Life): void {
    const known = this.books.job(job.id);
    if (known === "gone" || (known !== null && known.seq >= job.seq)) return;
    const entry = { seq: job.seq, isDone: job.isDone, position: job.position() };
    this.ledger.settle(job.id, MODEL, entry);
    this.books.jobs.set(job.id, entry);
  }

  /** What the jobs themselves spent and reserved in this month, whether or not the list was notified. */
  spent(): number {
    return [...this.lives.values()].reduce((sum, job) => {
      const { days, reservedMicros } = job.position();
      const { chargedMicros, atRiskMicros } = totalOf(days.filter(({ day }) => monthOf(day) === monthOf(this.nowMs)));
      return sum + chargedMicros + atRiskMicros + reservedMicros;
    }, 0);
  }
}

/** Long enough to reach the limit, come near it again and again, and see months end. */
const story = fc.array(fc.tuple(fc.constantFrom(...OPS), fc.constantFrom("a", "b", "c", "d")), {
  minLength: 20,
  maxLength: 150,
  size: "max",
});

describe("Ledger", () => {
  it("lets no order of facts, repetitions and losses spend more than the limit", () => {
    fc.assert(
      fc.property(story, (ops) => {
        const world = new World();
        for (const [op, jobId] of ops) {
          world.play(op, jobId);
          expect(world.spent()).toBeLessThanOrEqual(LIMIT);
          const { chargedMicros, reservedMicros, atRiskMicros } = world.ledger.totals(world.nowMs);
          expect(chargedMicros + reservedMicros + atRiskMicros).toBeLessThanOrEqual(LIMIT);
        }
      }),
      cases(1_000),
    );
  });

  it("sums to what the jobs spent, and reserves nothing, once the list is notified of every end", () => {
    fc.assert(
      fc.property(story, (ops) => {
        const world = new World();
        for (const [op, jobId] of ops) world.play(op, jobId);
        for (const job of world.lives.values()) {
          if (!job.isDone) {
            job.end();
            job.seq += 1;
          }
          world.notify(job);
        }
        for (const request of world.requests) world.ledger.reserve(request, LIMIT, world.nowMs);
        const atTheEnd = ["wait 8 s", "wait 8 s", "ask jobs of overdue grants"] as const;
        for (const op of [...atTheEnd, "give up grants that no job has taken"] as const) world.play(op, "a");
        const days = [...world.lives.values()].flatMap((job) => job.position().days);
        expect(totalOf([...world.books.rows.values()])).toEqual(totalOf(days));
        const jobDays = [...world.books.rows.values()].reduce((sum, { jobs }) => sum + jobs, 0);
        expect(jobDays).toBe(days.length);
        expect(world.books.grants()).toEqual([]);
        expect(world.books.reservedByJobs()).toBe(0);
      }),
      cases(1_000),
    );
  });

  it("grants exactly as many of many submissions as the limit has room for", () => {
    const world = new World();
    const answers = Array.from({ length: 500 }, (_, index) =>
      world.ledger.reserve(
        { jobId: `job-${index}`, number: 1, micros: UNIT, seq: 0, untilMs: null },
        100 * UNIT,
        START_MS,
      ),
    );
    expect(answers.filter((answer) => answer === "granted")).toHaveLength(100);
    expect(world.ledger.totals(START_MS).reservedMicros).toBe(100 * UNIT);
  });

  it("keeps a grant for as long as the newest request for it may make its job", () => {
    const { ledger } = new World();
    const grant = { jobId: "a", number: 1, micros: UNIT, seq: 0, untilMs: START_MS + 10_000 };
    ledger.reserve(grant, UNIT, START_MS);
    ledger.reserve({ ...grant, untilMs: START_MS + 19_000 }, UNIT, START_MS + 9_000);
    ledger.reserve({ ...grant, untilMs: START_MS + 12_000 }, UNIT, START_MS + 9_000);
    expect(ledger.overdue(START_MS + 18_000)).toEqual([]);
    // The job was asked before the newest request.
    ledger.release([grant], START_MS + 18_000);
    expect(ledger.totals(START_MS).reservedMicros).toBe(UNIT);
    ledger.release([grant], START_MS + 19_000);
    expect(ledger.totals(START_MS).reservedMicros).toBe(0);
  });

  it("reserves the larger amount when a request for the same job is repeated with another", () => {
    const { ledger } = new World();
    const grant = { jobId: "a", number: 1, micros: UNIT, seq: 0, untilMs: START_MS + 10_000 };
    expect(ledger.reserve(grant, 3 * UNIT, START_MS)).toBe("granted");
    expect(ledger.reserve({ ...grant, micros: 4 * UNIT }, 3 * UNIT, START_MS)).toBe("refused");
    expect(ledger.reserve({ ...grant, micros: 3 * UNIT }, 3 * UNIT, START_MS)).toBe("granted");
    expect(ledger.reserve(grant, 3 * UNIT, START_MS)).toBe("granted");
    expect(ledger.totals(START_MS).reservedMicros).toBe(3 * UNIT);
  });

  it("grants a repeated request once, and none for a removed job", () => {
    const world = new World();
    const grant = { jobId: "a", number: 1, micros: UNIT, seq: 0, untilMs: null };
    expect([1, 2, 3].map(() => world.ledger.reserve(grant, 2 * UNIT, START_MS))).toEqual([
      "granted",
      "granted",
      "granted",
    ]);
    expect(world.ledger.totals(START_MS).reservedMicros).toBe(UNIT);
    world.books.jobs.set("b", "gone");
    expect(world.ledger.reserve({ ...grant, jobId: "b" }, 2 * UNIT, START_MS)).toBe("gone");
  });

  it("begins at zero with each month, but keeps what is reserved", () => {
    const world = new World();
    world.submit("a", true);
    world.play("start", "a");
    world.play("end without an answer", "a");
    world.play("notify the list", "a");
    world.submit("b", true);
    const { atRiskMicros, reservedMicros } = world.ledger.totals(START_MS);
    expect({ atRiskMicros, reservedMicros }).toEqual({ atRiskMicros: IMAGES * UNIT, reservedMicros: IMAGES * UNIT });
    world.play("wait for the next month", "a");
    expect(world.ledger.totals(world.nowMs)).toMatchObject({
      chargedMicros: 0,
      atRiskMicros: 0,
      reservedMicros: IMAGES * UNIT,
    });
  });
});
