import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { alarmComes, storedState, timePasses } from "../lane/lane.fixture.ts";
import { laneName } from "../lane/lane-name.ts";
import { laneStub } from "../stubs.ts";
import { messageOf } from "./core/outbox.ts";
import { newJobRecord } from "./core/record.ts";
import { SYNC_MODEL, type TestJob, testJob } from "./job.fixture.ts";

/** The lane of the same model under the earlier settings, which name another host. */
const OLD_LANE = laneName({ upstreamHost: "upstream-of-before.example" }, SYNC_MODEL);

afterEach(() => reset());

/**
 * A job after a deploy that changed the upstream's host: stored, queued in the earlier lane, its object evicted and without an
 * alarm.
 */
async function leftByDeploy(): Promise<TestJob> {
  const job = testJob();
  await runInDurableObject(job.object, (_job, { storage }) => {
    storage.kv.put("record", newJobRecord(job.submission, Date.now()));
  });
  await job.evict();
  await laneStub(env, OLD_LANE).enqueue({ jobId: job.id, client: "local", priority: "normal", round: 1 }, false);
  return job;
}

describe("a job that is queued in the lane of earlier settings", () => {
  it("moves by itself, also from a blocked lane: the lane's one probe a minute is given to one job after the other", async () => {
    const old = laneStub(env, OLD_LANE);
    await old.observe({ kind: "blocked", code: "InvalidApiKey", hint: "Key and region must match." });
    const jobs = [await leftByDeploy(), await leftByDeploy(), await leftByDeploy()];
    expect(await old.report()).toMatchObject({ queued: 3, inProgress: 0 });
    await timePasses(60_000, OLD_LANE);
    await alarmComes(OLD_LANE);
    await expect.poll(async () => (await old.report()).queued).toBe(0);
    for (const job of jobs) {
      expect(await job.done()).toMatchObject({ status: "succeeded", attempts: [{ outcome: "succeeded" }] });
      expect((await job.ledger()).submits).toHaveLength(1);
    }
    expect(await old.report()).toMatchObject({ queued: 0, inProgress: 0, mode: "blocked" });
    // No start was counted in the old lane.
    expect((await storedState(OLD_LANE)).starts).toEqual([]);
  });

  it("is queued at once in the lane of today's settings when an earlier release puts it back", async () => {
    const job = await leftByDeploy();
    const old = laneStub(env, OLD_LANE);
    await runInDurableObject(job.object, (_job, { storage }) => {
      const record = newJobRecord(job.submission, Date.now());
      const release = messageOf("release", {
        lane: OLD_LANE,
        leaseId: `${job.id}.1`,
        outcome: { kind: "throttled", retryAfterMs: null },
        requeue: 2,
      });
      storage.kv.put("record", { ...record, ticketNumber: 2, outbox: [release] });
    });
    await job.evict();
    expect(await job.done()).toMatchObject({ status: "succeeded" });
    await expect.poll(async () => (await old.report()).queued).toBe(0);
  });
});

describe("a lease of another lane", () => {
  it("is refused, although all else in it fits", async () => {
    const job = await leftByDeploy();
    const nowMs = Date.now();
    const lease = { leaseId: `${job.id}.1`, jobId: job.id, round: 1, notBeforeMs: nowMs, beginByMs: nowMs + 5_000 };
    const answer = await job.rpc.begin({ ...lease, lane: OLD_LANE, endsAtMs: nowMs + 60_000 });
    expect(answer).toEqual({ accepted: false });
    // The refused offer woke the job, which asked the right lane.
    expect((await job.done()).attempts).toMatchObject([{ number: 1, outcome: "succeeded" }]);
  });
});
