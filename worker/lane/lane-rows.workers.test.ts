import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Lease, Ticket } from "./contract.ts";
import { Lane } from "./core/lane.ts";
import { laneName } from "./lane-name.ts";
import { LaneStore } from "./lane-store.ts";

const quota = { starts: 2, periodMs: 60_000, inProgress: null };
const settings = { lane: "upstream.test|model", quota, attemptBudgetMs: 45_000, misconfigured: null };
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
      return { toArray: () => all, [Symbol.iterator]: () => all.values() };
    },
  };
  // The store uses nothing else of a cursor.
  const open = (now: number) => new Lane(new LaneStore(counting as unknown as SqlStorage), settings, now);
  /** What a decision cost, and the leases that it offers. */
  function cost(lane: Lane, now: number, decide: () => void = () => {}) {
    const before = { ...rows };
    decide();
    const { offers } = lane.settle(now);
    return { read: rows.read - before.read, written: rows.written - before.written, offers };
  }
  return { sql, open, cost };
}

const ticket = (number: number): Ticket => ({ jobId: `job-${number}`, client: "ann", priority: "normal", round: 1 });
const succeeded = { kind: "succeeded", durationMs: 20_000 } as const;

describe("a start", () => {
  function startsWith(waiting: number) {
    return inLane(`waiting-${waiting}`, ({ sql, open, cost }) => {
      const first = open(T0);
      first.enqueue(ticket(1), false, T0);
      first.settle(T0);
      sql.exec(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO waiting (priority, turn, seq, job_id, client, round, watched)
         SELECT i % 3, 10 + i / 100, i, 'bulk-' || i, 'client-' || (i % 100), 1, 0 FROM n`,
        waiting,
      );
      const now = T0 + 200_000;
      const evicted = open(now);
      const { offers, ...afterEviction } = cost(evicted, now);
      expect(offers).toHaveLength(2);
      expect(evicted.report("", now).queued).toBe(waiting - 2);
      for (const { leaseId, jobId } of offers)
        evicted.release({ leaseId, jobId, outcome: succeeded, requeue: null }, now);
      evicted.settle(now);
      const later = now + 200_000;
      const { offers: more, ...awake } = cost(evicted, later);
      expect(more).toHaveLength(2);
      return { afterEviction, awake };
    });
  }

  it("costs no more rows with 100 000 waiting than with ten, after an eviction too", async () => {
    const few = await startsWith(10);
    const many = await startsWith(100_000);
    expect(many).toEqual(few);
    expect(many.afterEviction.read).toBeLessThanOrEqual(16);
  });
});

describe("a page of notices", () => {
  it("reads as many rows as it checks, wherever the pass is", async () => {
    const pages = await inLane("notices", ({ sql, open, cost }) => {
      const first = open(T0);
      for (let i = 0; i < 2; i += 1) first.enqueue(ticket(i), false, T0);
      first.settle(T0);
      sql.exec(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO waiting (priority, turn, seq, job_id, client, round, watched)
         SELECT i % 3, 10 + i / 100, i, 'bulk-' || i, 'client-' || (i % 100), 1, i % 2 FROM n`,
      );
      const lane = open(T0 + 5_000);
      lane.enqueue(ticket(9), false, T0 + 5_000);
      const reads: number[] = [];
      let sent = 0;
      do {
        const before = cost(lane, T0 + 5_000).read;
        reads.push(before);
        sent += 1;
      } while (lane.isNotifying && sent < 100);
      return reads;
    });
    expect(pages).toHaveLength(3);
    expect(Math.max(...pages)).toBeLessThan(1_050);
  });
});

describe("rows written", () => {
  it("are four for a job that starts at once", async () => {
    const written = await inLane("direct", ({ open, cost }) => {
      const lane = open(T0);
      // The first job creates the tables.
      cost(lane, T0, () => lane.enqueue(ticket(0), false, T0));
      let lease: Lease | null = null;
      const enqueue = cost(lane, T0, () => {
        lease = lane.enqueue(ticket(1), false, T0).lease;
      });
      const leaseId = String((lease as Lease | null)?.leaseId);
      const release = cost(lane, T0 + 20_000, () =>
        lane.release({ leaseId, jobId: "job-1", outcome: succeeded, requeue: null }, T0 + 20_000),
      );
      return [enqueue.written, release.written];
    });
    expect(written).toEqual([2, 2]);
  });

  it("are eight for a job that waits, and seven where the next start follows at once", async () => {
    const written = await inLane("waiting", ({ open, cost }) => {
      const lane = open(T0);
      for (let i = 0; i < 2; i += 1) lane.enqueue(ticket(i), false, T0);
      lane.settle(T0);
      const enqueue = cost(lane, T0, () => lane.enqueue(ticket(2), false, T0));
      const now = T0 + 61_700;
      const grant = cost(lane, now);
      const [lease] = grant.offers;
      if (lease?.jobId !== "job-2") throw new Error(`job 2 must be offered a lease, got ${JSON.stringify(grant)}`);
      const accept = cost(lane, now + 5, () => lane.answered(lease, { accepted: true, startedAtMs: now + 3 }, now + 5));
      const stored = cost(lane, now + 1_005, () => lane.storeAnswers());
      const release = cost(lane, now + 5_000, () =>
        lane.release({ leaseId: lease.leaseId, jobId: "job-2", outcome: succeeded, requeue: null }, now + 5_000),
      );
      return [enqueue.written, grant.written, accept.written, stored.written, release.written];
    });
    expect(written).toEqual([2, 3, 0, 1, 2]);
  });
});
