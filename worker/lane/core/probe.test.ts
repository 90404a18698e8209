import { describe, expect, it } from "vitest";
import type { Lease, Ticket } from "../contract.ts";
import { MemoryStorage } from "../simulation/memory-storage.ts";
import { LaneBook } from "./book.ts";
import { LaneDesk } from "./desk.ts";
import { advance, nextAlarmAtMs, takeAnswer } from "./dispatch.ts";

const T0 = Date.UTC(2026, 10, 23, 12);
const quota = { starts: 2, periodMs: 60_000, inProgress: null };
const blocked = { kind: "blocked", code: "InvalidApiKey", hint: "Mend the key." } as const;

const ticket = (job: number): Ticket => ({ jobId: `job-${job}`, client: "ann", priority: "normal", round: 1 });

/** A lane that one job's call has blocked at `T0`, with `waiting` others in line. */
function blockedLane(waiting: number) {
  const book = new LaneBook(
    new MemoryStorage(),
    { lane: "upstream.test|model", quota, attemptBudgetMs: 45_000, paused: null },
    T0,
  );
  const desk = new LaneDesk(book);
  const { lease } = desk.enqueue(ticket(0), false, T0 - 100);
  desk.release({ leaseId: lease?.leaseId ?? "", jobId: "job-0", outcome: blocked, requeue: null }, T0);
  for (let job = 1; job <= waiting; job += 1) desk.enqueue(ticket(job), false, T0);
  return { book, desk };
}

/** Runs the lane by its own alarm until that many jobs were told of a lease; each answers by `answer`, 10 ms later. */
function probes(book: LaneBook, many: number, answer: (lease: Lease) => boolean) {
  const told: { readonly jobId: string; readonly atMs: number }[] = [];
  let nowMs = T0;
  while (told.length < many) {
    const alarmAtMs = nextAlarmAtMs(book, nowMs);
    if (alarmAtMs === null) break;
    nowMs = Math.max(nowMs, alarmAtMs);
    for (const lease of advance(book, nowMs)) {
      told.push({ jobId: lease.jobId, atMs: nowMs });
      nowMs += 10;
      const startedAtMs = Math.max(nowMs, lease.notBeforeMs);
      takeAnswer(book, lease, answer(lease) ? { accepted: true, startedAtMs } : { accepted: false }, nowMs);
    }
  }
  return told;
}

describe("a probe that nobody makes", () => {
  it("is offered to the next at once: two hundred jobs that no longer wait cost a blocked lane seconds, not hours", () => {
    const { book } = blockedLane(201);
    const told = probes(book, 201, ({ jobId }) => jobId === "job-201");
    expect(told.map(({ jobId }) => jobId)).toEqual(Array.from({ length: 201 }, (_, index) => `job-${index + 1}`));
    expect((told.at(-1)?.atMs ?? Number.POSITIVE_INFINITY) - T0).toBeLessThan(65_000);
    // The last one was made: the next is due a minute after it.
    expect(book.state.block?.nextProbeAtMs).toBeGreaterThanOrEqual((told.at(-1)?.atMs ?? 0) + 60_000);
  });

  it("is due at once also when the job left before its answer was here", () => {
    const { book, desk } = blockedLane(2);
    const [lease] = advance(book, T0 + 60_000);
    if (lease === undefined) throw new Error("no probe");
    desk.leave(lease.jobId);
    takeAnswer(book, lease, { accepted: false }, T0 + 60_010);
    expect(advance(book, T0 + 60_010).map(({ jobId }) => jobId)).toEqual(["job-2"]);
  });

  it("is due at once when it was the answer to a job's asking, and the job left", () => {
    const { desk } = blockedLane(0);
    const { lease } = desk.enqueue(ticket(1), false, T0 + 60_000);
    expect(lease).not.toBeNull();
    desk.leave("job-1");
    expect(desk.enqueue(ticket(2), false, T0 + 60_010).lease).not.toBeNull();
  });
});

describe("a lease from before the block", () => {
  it("given back unused brings no probe forward", () => {
    const book = new LaneBook(
      new MemoryStorage(),
      { lane: "upstream.test|model", quota, attemptBudgetMs: 45_000, paused: null },
      T0,
    );
    const desk = new LaneDesk(book);
    const { lease } = desk.enqueue(ticket(1), false, T0);
    desk.enqueue(ticket(2), false, T0);
    desk.release({ leaseId: lease?.leaseId ?? "", jobId: "job-1", outcome: blocked, requeue: null }, T0);
    desk.leave("job-2");
    expect(book.state.block?.nextProbeAtMs).toBe(T0 + 60_000);
  });
});
