import { describe, expect, it } from "vitest";
import type { Lease, Release, Ticket } from "../contract.ts";
import { MemoryStorage } from "../simulation/memory-storage.ts";
import { LaneBook } from "./book.ts";
import { LaneDesk } from "./desk.ts";
import { advance, takeAnswer } from "./dispatch.ts";

const T0 = Date.UTC(2026, 10, 23, 12);
const quota = { starts: 2, periodMs: 60_000, inProgress: null };
const settings = { lane: "upstream.test|model", quota, attemptBudgetMs: 45_000, paused: null };
const ticket = (job: number): Ticket => ({ jobId: `job-${job}`, client: "ann", priority: "normal", round: 1 });

/**
 * A lane that told `job-1` of a lease, and `job-2` of another, at `toldAtMs`; then it was killed before it heard what they
 * said, and has offered them again ten seconds later.
 */
function offeredAgain() {
  const storage = new MemoryStorage();
  const first = new LaneBook(storage, settings, T0);
  const desk = new LaneDesk(first);
  for (const job of [91, 92, 1, 2, 3]) desk.enqueue(ticket(job), false, T0);
  const toldAtMs = T0 + 70_000;
  expect(advance(first, toldAtMs).map(({ jobId }) => jobId)).toEqual(["job-1", "job-2"]);
  first.save(toldAtMs);
  const againAtMs = toldAtMs + 10_000;
  const book = new LaneBook(storage, settings, againAtMs);
  const [one, two] = advance(book, againAtMs);
  if (one === undefined || two === undefined) throw new Error("not offered again");
  return { book, desk: new LaneDesk(book), one, two, toldAtMs, againAtMs };
}

const interrupted = ({ leaseId, jobId }: Lease): Release => ({
  leaseId,
  jobId,
  outcome: { kind: "abandoned" },
  requeue: null,
});
const counted = (book: LaneBook) => book.state.starts.map(({ atMs }) => atMs);

describe("a lease offered again after a crash", () => {
  it("whose job had begun counts when it began, not when it was offered again", () => {
    const { book, desk, one, toldAtMs, againAtMs } = offeredAgain();
    takeAnswer(book, one, { accepted: true, startedAtMs: toldAtMs + 40 }, againAtMs + 10);
    expect(counted(book)).toContain(toldAtMs + 40);
    // Its release comes after the answer, and changes nothing of that.
    desk.release(interrupted(one), againAtMs + 20);
    expect(counted(book)).toContain(toldAtMs + 40);
    expect(book.state.offers.map(({ jobId }) => jobId)).toEqual(["job-2"]);
    expect(book.state.inProgress).toBe(1);
  });

  it("whose release comes before the answer counts at the latest it can have begun, once", () => {
    const { book, desk, one, toldAtMs, againAtMs } = offeredAgain();
    desk.release(interrupted(one), againAtMs + 5);
    takeAnswer(book, one, { accepted: true, startedAtMs: toldAtMs + 40 }, againAtMs + 10);
    expect(counted(book)).toEqual([againAtMs + 5]);
    expect(book.state.inProgress).toBe(1);
  });
});
