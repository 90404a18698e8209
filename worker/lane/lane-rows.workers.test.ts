import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Lease, Ticket } from "./contract.ts";
import { LaneBook } from "./core/book.ts";
import { LaneDesk } from "./core/desk.ts";
import { advance, takeAnswer } from "./core/dispatch.ts";
import { laneName } from "./lane-name.ts";
import { LaneStore } from "./lane-store.ts";

const quota = { starts: 2, periodMs: 60_000, inProgress: null };
const settings = { lane: "upstream.test|model", quota, attemptBudgetMs: 45_000, paused: null };
const T0 = Date.UTC(2026, 10, 23, 12);

/** The lane's own code over the SQLite of a real object, with the rows counted as the bill counts them. */
function inLane<T>(name: string, work: (lane: ReturnType<typeof laneOver>) => T): Promise<T> {
  const stub = env.LANES.getByName(laneName({ upstreamHost: `${name}.example.com` }, "qwen-image-max"));
  return runInDurableObject(stub, (_lane, { storage }) => work(laneOver(storage.sql)));
}

function laneOver(sql: SqlStorage) {
  const rows = { read: 0, written: 0 };
  const counting = {
    exec: (query: string, ...binds: SqlStorageValue[]) => {
      const cursor = sql.exec(query, ...binds);
      const all = cursor.toArray();
      rows.read += cursor.rowsRead;
      rows.written += cursor.rowsWritten;
      return { toArray: () => all };
    },
  };
  // The store uses nothing else of a cursor.
  const open = (now: number) => new LaneBook(new LaneStore(counting as unknown as SqlStorage), settings, now);
  /** What a decision cost. */
  function cost(book: LaneBook, now: number, decide: () => void): { read: number; written: number } {
    const before = { ...rows };
    decide();
    book.save(now);
    return { read: rows.read - before.read, written: rows.written - before.written };
  }
  return { sql, open, cost };
}

const ticket = (number: number): Ticket => ({ jobId: `job-${number}`, client: "ann", priority: "normal", round: 1 });
const succeeded = { kind: "succeeded", durationMs: 20_000 } as const;

describe("a start", () => {
  function startsWith(waiting: number) {
    return inLane(`waiting-${waiting}`, ({ sql, open, cost }) => {
      const first = open(T0);
      new LaneDesk(first).enqueue(ticket(1), false, T0);
      first.save(T0);
      sql.exec(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO waiting (priority, turn, seq, job_id, client, round, watched)
         SELECT i % 3, 10 + i / 100, i, 'bulk-' || i, 'client-' || (i % 100), 1, 0 FROM n`,
        waiting,
      );
      const now = T0 + 200_000;
      const evicted = open(now);
      const afterEviction = cost(evicted, now, () => expect(advance(evicted, now)).toHaveLength(2));
      expect(evicted.line.size()).toBe(waiting - 2);
      const later = now + 200_000;
      const awake = cost(evicted, later, () => expect(advance(evicted, later)).toHaveLength(2));
      return { afterEviction, awake };
    });
  }

  it("costs no more rows with 100 000 waiting than with ten, after an eviction too", async () => {
    const few = await startsWith(10);
    const many = await startsWith(100_000);
    expect(many).toEqual(few);
    expect(many.afterEviction.read).toBeLessThanOrEqual(12);
  });
});

describe("rows written", () => {
  it("are four for a job that starts at once", async () => {
    const written = await inLane("direct", ({ open, cost }) => {
      const book = open(T0);
      const desk = new LaneDesk(book);
      // The tables are there from the first one on.
      cost(book, T0, () => desk.enqueue(ticket(0), false, T0));
      let lease: Lease | null = null;
      const enqueue = cost(book, T0, () => {
        lease = desk.enqueue(ticket(1), false, T0).lease;
      });
      const leaseId = String((lease as Lease | null)?.leaseId);
      const release = cost(book, T0 + 20_000, () =>
        desk.release({ leaseId, jobId: "job-1", outcome: succeeded, requeue: null }, T0 + 20_000),
      );
      return [enqueue.written, release.written];
    });
    expect(written).toEqual([2, 2]);
  });

  it("are eight for a job that waits", async () => {
    const written = await inLane("waiting", ({ open, cost }) => {
      const book = open(T0);
      const desk = new LaneDesk(book);
      for (let i = 0; i < 2; i += 1) desk.enqueue(ticket(i), false, T0);
      book.save(T0);
      const enqueue = cost(book, T0, () => desk.enqueue(ticket(2), false, T0));
      const now = T0 + 61_700;
      let told: readonly Lease[] = [];
      const grant = cost(book, now, () => {
        told = advance(book, now);
      });
      const [lease] = told;
      if (lease?.jobId !== "job-2") throw new Error(`the waiting job must be told, got ${JSON.stringify(told)}`);
      const accept = cost(book, now + 5, () =>
        takeAnswer(book, lease, { accepted: true, startedAtMs: now + 3 }, now + 5),
      );
      const release = cost(book, now + 20_000, () =>
        desk.release({ leaseId: lease.leaseId, jobId: "job-2", outcome: succeeded, requeue: null }, now + 20_000),
      );
      return [enqueue.written, grant.written, accept.written, release.written];
    });
    expect(written).toEqual([2, 3, 1, 2]);
  });
});
