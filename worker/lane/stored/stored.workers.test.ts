import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { Lane } from "../core/lane.ts";
import { laneName } from "../lane-name.ts";
import { LaneStore } from "../lane-store.ts";
import version1 from "./version-1.json";
import version2 from "./version-2.json";

/*
 * Lanes as earlier versions stored them: rows written by their code. Today's code must continue with each. A file of a version is
 * never edited.
 */

/** The moment of the first enqueue in every fixture. */
const T0 = Date.UTC(2026, 10, 28, 9);
const quota = { starts: 2, periodMs: 60_000, inProgress: null };
const settings = {
  lane: "dashscope-intl.aliyuncs.com|qwen-image-max",
  quota,
  attemptBudgetMs: 45_000,
  misconfigured: null,
};
const jobId = (number: number) => `job_${String(number).padStart(21, "0")}`;
const numberOf = ({ jobId: id }: { readonly jobId: string }) => Number(id.slice("job_".length));
const succeeded = { kind: "succeeded", durationMs: 20_000 } as const;

type Stored = typeof version1 | typeof version2;

/** Runs today's code over a stored lane at `now`, and again as often as `at` is called. */
function withStored(
  stored: Stored,
  version: number,
  name: keyof Stored["lanes"],
  work: (at: typeof inLane, sql: SqlStorage) => void,
): Promise<void> {
  const stub = env.LANES.getByName(
    laneName({ upstreamHost: `stored-${version}-${name}.example.com` }, "qwen-image-max"),
  );
  return runInDurableObject(stub, (_lane, { storage: { sql } }) => {
    for (const statement of stored.schema) sql.exec(statement);
    for (const [table, rows] of Object.entries(stored.lanes[name])) {
      for (const row of rows) {
        const columns = Object.keys(row);
        const values = Object.values(row).map((value) =>
          typeof value === "object" && value !== null ? JSON.stringify(value) : value,
        );
        sql.exec(`INSERT INTO ${table} (${columns.join()}) VALUES (${columns.map(() => "?").join()})`, ...values);
      }
    }
    work((now, decide) => inLane(now, decide, sql), sql);
  });
}

/** One decision of a lane that has just been loaded. */
function inLane<T>(now: number, decide: (lane: Lane) => T, sql?: SqlStorage): T {
  if (sql === undefined) throw new Error("no storage");
  const lane = new Lane(new LaneStore(sql), settings, now);
  const answer = decide(lane);
  lane.settle(now);
  lane.storeAnswers();
  lane.settle(now);
  return answer;
}

describe.each([
  [1, version1],
  [2, version2],
])("a lane stored by version %d", (version, stored) => {
  it("with waiting and leased tickets continues: same places, offers again, releases, order of turns", async () => {
    await withStored(stored, version, "open", (at) => {
      const soon = T0 + 63_000;
      expect(at(soon, (lane) => lane.report("qwen-image-max", soon))).toMatchObject({
        queued: 4,
        inProgress: 3,
        mode: "open",
        pace: 1,
        typicalDurationMs: 21_300,
      });
      // Earlier versions did not store since when a ticket waits; for a new ticket it is stored.
      expect(at(soon, (lane) => lane.metrics("", soon))).toMatchObject({
        oldestWaitMs: 0,
        tally: { waits: { seconds: 0 } },
      });
      const places = at(soon, (lane) => lane.places([4, 5, 7, 8].map(jobId), soon));
      expect([4, 5, 7, 8].map((job) => places[jobId(job)]?.position)).toEqual([1, 4, 2, 3]);
      // Job 3 had not answered: it is offered the same lease again.
      const again = at(T0 + 67_000, (lane) => lane.settle(T0 + 67_000).offers);
      expect(again.map(({ leaseId }) => leaseId)).toEqual([`${jobId(3)}.4`]);
      at(T0 + 67_050, (lane) => {
        for (const lease of again) lane.answered(lease, { accepted: true, startedAtMs: T0 + 67_040 }, T0 + 67_050);
      });
      at(T0 + 80_000, (lane) => {
        for (const leaseId of [`${jobId(2)}.2`, `${jobId(6)}.3`, `${jobId(3)}.4`]) {
          const [id = ""] = leaseId.split(".");
          lane.release({ leaseId, jobId: id, outcome: succeeded, requeue: null }, T0 + 80_000);
        }
      });
      expect(at(T0 + 80_000, (lane) => lane.report("", T0 + 80_000))).toMatchObject({
        queued: 4,
        inProgress: 0,
      });
      const order = [125, 190, 255].flatMap((seconds) => {
        const now = T0 + seconds * 1_000;
        return at(now, (lane) => {
          const leases = lane.settle(now).offers;
          for (const lease of leases)
            lane.answered(lease, { accepted: true, startedAtMs: lease.notBeforeMs }, now + 300);
          return leases.map(numberOf);
        });
      });
      expect(order).toEqual([4, 7, 8, 5]);
      const late = T0 + 260_000;
      at(late, (lane) => {
        for (const job of [9, 10, 11].map(jobId))
          lane.enqueue({ jobId: job, client: "ann", priority: "normal", round: 1 }, false, late);
      });
      expect(at(late + 1_000, (lane) => lane.metrics("", late + 1_000).oldestWaitMs)).toBe(1_000);
    });
  });

  it("throttled keeps its pace, its hold and the old place of the job that was put back", async () => {
    await withStored(stored, version, "throttled", (at) => {
      const report = at(T0 + 1_000, (lane) => lane.report("", T0 + 1_000));
      expect(report).toMatchObject({ pace: 0.7, queued: 2, nextStartAt: new Date(T0 + 90_300).toISOString() });
      expect(at(T0 + 89_000, (lane) => lane.settle(T0 + 89_000).offers)).toEqual([]);
      expect(at(T0 + 90_300, (lane) => lane.settle(T0 + 90_300).offers).map(numberOf)).toEqual([1]);
    });
  });

  it("blocked keeps its block, and the success of its probe ends it", async () => {
    await withStored(stored, version, "blocked", (at) => {
      const report = at(T0 + 63_000, (lane) => lane.report("", T0 + 63_000));
      expect(report).toMatchObject({
        mode: "blocked",
        blocked: { code: "Arrearage", hint: "Pay the bill." },
        queued: 1,
      });
      const probe = { leaseId: `${jobId(1)}.3`, jobId: jobId(1), outcome: succeeded, requeue: null };
      at(T0 + 90_000, (lane) => lane.release(probe, T0 + 90_000));
      expect(at(T0 + 90_000, (lane) => lane.report("", T0 + 90_000)).mode).toBe("open");
      expect(at(T0 + 130_000, (lane) => lane.settle(T0 + 130_000).offers).map(numberOf)).toEqual([3]);
    });
  });

  it("that tries one job at a time starts the next one when that one ends", async () => {
    await withStored(stored, version, "failing", (at) => {
      const now = T0 + 4_000;
      expect(at(now, (lane) => lane.report("", now))).toMatchObject({ mode: "one_at_a_time", inProgress: 1 });
      expect(at(now, (lane) => lane.settle(now).offers)).toEqual([]);
      const trial = { leaseId: `${jobId(1)}.1`, jobId: jobId(1), outcome: succeeded, requeue: null };
      const offers = at(T0 + 20_000, (lane) => {
        lane.release(trial, T0 + 20_000);
        return lane.settle(T0 + 20_000).offers;
      });
      expect(offers.map(numberOf)).toEqual([2]);
    });
  });
});
