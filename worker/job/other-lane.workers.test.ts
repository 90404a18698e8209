import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { alarmComes, storedState, timePasses } from "../lane/lane.fixture.ts";
import { laneName } from "../lane/lane-name.ts";
import { laneStub } from "../stubs.ts";
import { messageOf } from "./core/outbox.ts";
import { newJobRecord } from "./core/record.ts";
import { SYNC_MODEL, type TestJob, testJob } from "./job.fixture.ts";

/** The lane of the same model as it was under the settings of before: another host. */
const OLD_LANE = laneName({ upstreamHost: "upstream-of-before.example" }, SYNC_MODEL);

afterEach(() => reset());

/**
 * A job as a deploy leaves it that changed the upstream's host: stored, waiting in the lane of before, its object asleep
 * and without an alarm that would wake it.
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

describe("a job that waits in the lane of the settings before", () => {
  it("moves by itself, from a blocked lane too: its one probe a minute goes from one to the next", async () => {
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
    // Not one call was made on its account.
    expect((await storedState(OLD_LANE)).starts).toEqual([]);
  });

  it("put back there by a release from before is at once in line where today's settings have it", async () => {
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
  it("is refused, however well it fits", async () => {
    const job = await leftByDeploy();
    const nowMs = Date.now();
    const lease = { leaseId: `${job.id}.1`, jobId: job.id, round: 1, notBeforeMs: nowMs, beginByMs: nowMs + 5_000 };
    const answer = await job.rpc.begin({ ...lease, lane: OLD_LANE, endsAtMs: nowMs + 60_000 });
    expect(answer).toEqual({ accepted: false });
    // Woken by it, the job asked the right one.
    expect((await job.done()).attempts).toMatchObject([{ number: 1, outcome: "succeeded" }]);
  });
});
