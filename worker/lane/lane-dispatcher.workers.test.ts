import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { LeaseOutcome, Ticket } from "./contract.ts";
import { Lane } from "./core/lane.ts";
import {
  alarmComes,
  ghost,
  jobThat,
  LANE,
  lane,
  laneObject,
  storedState,
  submitJob,
  timePasses,
  useUpQuota,
} from "./lane.fixture.ts";
import { LaneStore } from "./lane-store.ts";

afterEach(() => reset());

describe("a lane", () => {
  it("starts at once as many as the quota allows, and queues the rest", async () => {
    const answers = [];
    for (let i = 0; i < 4; i += 1) answers.push(await lane().enqueue(ghost(), false));
    expect(answers.map((answer) => answer.lease !== null)).toEqual([true, true, false, false]);
    expect(answers.map((answer) => answer.place?.position)).toEqual([undefined, undefined, 1, 2]);
    expect(await lane().report()).toMatchObject({ queued: 2, inProgress: 2, mode: "open", pace: 1 });
  });

  it("stores nothing when it is only read", async () => {
    expect(await lane().report()).toMatchObject({
      model: "qwen-image-max",
      queued: 0,
      inProgress: 0,
      nextStartAt: null,
    });
    expect(await lane().place("job_000000000000000000000", false)).toBeNull();
    const tables = await runInDurableObject(laneObject(), (_lane, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master").toArray(),
    );
    expect(tables).toEqual([]);
    expect(await runDurableObjectAlarm(laneObject())).toBe(false);
  });

  it("offers a waiting job its lease, and counts its start when it was made", async () => {
    await useUpQuota();
    const { job } = await submitJob();
    const waiting = await jobThat(job, (view) => view.queue?.position === 1);
    expect(waiting.queue).toMatchObject({ waitingOn: "quota", detail: expect.stringContaining("Next in line; ") });
    await timePasses(70_000);
    await alarmComes();
    const done = await jobThat(job, (view) => view.done);
    expect(done.status).toBe("succeeded");
    // The job may be done before its answer to the offer is taken.
    await expect.poll(async () => (await storedState()).offers).toEqual([]);
    const { starts } = await storedState();
    const [attempt] = done.attempts;
    expect(starts).toHaveLength(1);
    expect(starts[0]?.atMs).toBeGreaterThanOrEqual(Date.parse(attempt?.startedAt ?? ""));
    expect(starts[0]?.atMs).toBeLessThanOrEqual(Date.parse(attempt?.finishedAt ?? ""));
  });

  it("gives the start of a job that no longer waits to the next job", async () => {
    await useUpQuota();
    await lane().enqueue(ghost(), false);
    await lane().enqueue(ghost(), false);
    const { job } = await submitJob();
    await timePasses(70_000);
    await alarmComes();
    expect((await jobThat(job, (view) => view.done)).status).toBe("succeeded");
    await expect.poll(async () => (await storedState()).offers).toEqual([]);
    expect((await lane().report()).queued).toBe(0);
    expect((await storedState()).starts).toHaveLength(1);
  });

  it("serves others while one job does not answer, and offers that job its lease again", {
    timeout: 60_000,
  }, async () => {
    await useUpQuota();
    const silent = ghost();
    await lane().enqueue(silent, false);
    const { job } = await submitJob();
    // The test decides when the job's object wakes: by then the first offer is too late.
    let isAwake = false;
    let isAsleep = false;
    const awake = runInDurableObject(env.JOBS.getByName(silent.jobId), (_job, state) => {
      void state.blockConcurrencyWhile(async () => {
        while (!isAwake) await scheduler.wait(10);
      });
      isAsleep = true;
    });
    await expect.poll(() => isAsleep).toBe(true);
    await timePasses(70_000);
    // Any call does what is due. `alarmComes` would wait until the alarm's own run has ended.
    await lane().report();
    expect((await jobThat(job, (view) => view.done)).status).toBe("succeeded");
    expect((await storedState()).offers).toMatchObject([{ jobId: silent.jobId }]);
    // Its start counts meanwhile, and its lease is out.
    expect((await lane().report()).inProgress).toBe(1);
    // Offered again by the lane's own alarm, five seconds after the first offer.
    await expect.poll(async () => (await storedState()).offers[0]?.tries).toBeGreaterThan(1);
    isAwake = true;
    await awake;
    await expect.poll(async () => (await storedState()).offers).toEqual([]);
    expect((await lane().report()).inProgress).toBe(0);
    expect((await storedState()).starts).toHaveLength(1);
  });

  it("killed between storing a lease and offering it, offers it after the restart", async () => {
    await useUpQuota();
    const { id, job } = await submitJob();
    await jobThat(job, (view) => view.queue?.position === 1);
    await timePasses(70_000);
    // What the object does, up to the moment at which it would call the job.
    const offered = await runInDurableObject(laneObject(), (_lane, { storage }) => {
      const quota = { starts: 2, periodMs: 60_000, inProgress: null };
      const settings = { lane: LANE, quota, attemptBudgetMs: 1_000, misconfigured: null };
      const now = Date.now();
      return new Lane(new LaneStore(storage.sql), settings, now).settle(now).offers.map((lease) => lease.jobId);
    });
    expect(offered).toEqual([id]);
    await evictDurableObject(laneObject());
    await timePasses(6_000);
    await alarmComes();
    expect((await jobThat(job, (view) => view.done)).attempts).toHaveLength(1);
  });

  it("sets its alarm again when what is stored cannot be read", async () => {
    await useUpQuota();
    await lane().enqueue(ghost(), false);
    await runInDurableObject(laneObject(), (_lane, { storage }) => {
      storage.sql.exec("UPDATE lane SET state = json_set(state, '$.version', 2)");
    });
    await evictDurableObject(laneObject());
    expect(await alarmComes()).toBe(true);
    const alarmAtMs = await runInDurableObject(laneObject(), (_lane, { storage }) => storage.getAlarm());
    expect(alarmAtMs).toBeGreaterThan(Date.now());
    await runInDurableObject(laneObject(), (_lane, { storage }) => {
      storage.sql.exec("UPDATE lane SET state = json_set(state, '$.version', 1)");
    });
    expect((await lane().report()).queued).toBe(1);
  });
});

describe("a repeated call", () => {
  it("enqueue answers the same lease, or the same place", async () => {
    const first = ghost();
    const { lease } = await lane().enqueue(first, false);
    expect((await lane().enqueue(first, false)).lease).toMatchObject({ leaseId: lease?.leaseId, round: 1 });
    expect(await lane().report()).toMatchObject({ inProgress: 1 });
    await lane().enqueue(ghost(), false);
    const third = ghost();
    const { place } = await lane().enqueue(third, false);
    expect(await lane().enqueue(third, false)).toEqual({ lease: null, place });
    expect(await lane().report()).toMatchObject({ queued: 1, inProgress: 2 });
  });

  it("release changes nothing the second time", async () => {
    const { jobId, ...rest } = ghost();
    const { lease } = await lane().enqueue({ jobId, ...rest }, false);
    const release = {
      leaseId: lease?.leaseId ?? "",
      jobId,
      outcome: { kind: "throttled", retryAfterMs: null } as const,
      requeue: { jobId, ...rest, round: 2 },
    };
    const { place } = await lane().release(release);
    expect(place).toMatchObject({ position: 1, waitingOn: "quota" });
    const report = await lane().report();
    expect(await lane().release(release)).toEqual({ place });
    expect(await lane().report()).toEqual(report);
    expect(report).toMatchObject({ queued: 1, inProgress: 0, pace: 0.7 });
  });

  it("leave takes a job out of the queue, or gives its unused start back", async () => {
    await useUpQuota();
    const waiting = ghost();
    await lane().enqueue(waiting, false);
    await lane().leave(waiting.jobId);
    await lane().leave(waiting.jobId);
    expect(await lane().report()).toMatchObject({ queued: 0, inProgress: 2 });
    await reset();
    const { jobId } = ghost();
    await lane().enqueue(ghost({ jobId }), false);
    await lane().leave(jobId);
    await useUpQuota();
    expect(await lane().report()).toMatchObject({ inProgress: 2 });
  });

  it("a lease ends at its end, and later when it was renewed", async () => {
    const [first, second] = [ghost(), ghost()];
    await lane().enqueue(first, false);
    const { lease } = await lane().enqueue(second, false);
    await lane().renew(lease?.leaseId ?? "", Date.now() + 200_000);
    await timePasses(100_000);
    await alarmComes();
    expect(await lane().report()).toMatchObject({ inProgress: 1 });
    await timePasses(110_000);
    await alarmComes();
    expect(await lane().report()).toMatchObject({ inProgress: 0 });
  });
});

describe("after an eviction", () => {
  const fails: LeaseOutcome = { kind: "failed", fault: "upstream", durationMs: 50 };

  it.each<[string, LeaseOutcome[]]>([
    ["running and waiting", []],
    ["throttled", [{ kind: "throttled", retryAfterMs: 90_000 }]],
    ["blocked", [{ kind: "blocked", code: "Arrearage", hint: "Pay the bill." }]],
    ["one at a time", [fails, fails, fails, fails, fails]],
  ])("a lane that is %s is as before", async (_name, outcomes) => {
    for (const outcome of outcomes) await lane().observe(outcome);
    const tickets = [
      ghost(),
      ghost({ priority: "low" }),
      ghost({ client: "bob" }),
      ghost({ priority: "high" }),
      ghost(),
    ];
    for (const ticket of tickets) await lane().enqueue(ticket, false);
    const jobIds = tickets.map((ticket) => ticket.jobId);
    const look = async () => ({ report: await lane().report(), places: await lane().places(jobIds) });
    // Between two looks time passes, in which an offer may end. A state that was not stored would differ each time.
    await vi.waitFor(
      async () => {
        const before = await look();
        await evictDurableObject(laneObject());
        expect(await look()).toEqual(before);
        expect(Object.keys(before.places).length).toBe(before.report.queued);
        expect(before.report.queued).toBeGreaterThanOrEqual(3);
      },
      { timeout: 20_000, interval: 200 },
    );
  });
});

describe("a watched job", () => {
  it("is notified of its new place until nobody watches it", async () => {
    await useUpQuota();
    const ahead = [ghost(), ghost(), ghost()];
    for (const ticket of ahead) await lane().enqueue(ticket, false);
    const { job } = await submitJob();
    // Clients take turns: of the other's three only the first is before it.
    const known = await jobThat(job, (view) => view.queue?.position === 2);
    const changed = job.wait(null, known.tag, 20_000);
    await expect.poll(watchedRows).toBe(1);
    await lane().leave(ahead[0]?.jobId ?? "");
    const answer = await changed;
    if (!answer.ok) throw new Error(answer.code);
    expect(answer.view.queue?.position).toBe(1);
    // Its answer to the notification says that nobody watches it any more.
    await expect.poll(watchedRows).toBe(0);
  });

  it("is notified of a change also when more jobs are watched than are notified at once", async () => {
    await useUpQuota();
    // These jobs do not exist, so each answers its notice that nobody watches.
    await Promise.all(Array.from({ length: 150 }, () => lane().enqueue(ghost(), true)));
    expect(await watchedRows()).toBe(150);
    // What every job waits for changes.
    await lane().control({ kind: "pause", reason: "the account is being moved", untilMs: null });
    await expect.poll(watchedRows).toBe(0);
    expect((await lane().report()).queued).toBe(150);
    await expect.poll(async () => (await storedState()).pushDueAtMs).toBeNull();
  });

  it("costs nothing where there is none", async () => {
    await useUpQuota();
    for (let i = 0; i < 3; i += 1) await lane().enqueue(ghost(), false);
    expect((await storedState()).pushDueAtMs).toBeNull();
  });

  function watchedRows(): Promise<number> {
    return runInDurableObject(
      laneObject(),
      (_lane, { storage }) => storage.sql.exec("SELECT job_id FROM waiting WHERE watched = 1").toArray().length,
    );
  }
});

describe("a command of the operator", () => {
  const PAUSE = { kind: "pause", reason: "the account is being moved", untilMs: null } as const;

  it("pauses the lane through restarts of its object: nothing starts after the answer, jobs show why, and they start again when it is resumed", async () => {
    const report = await lane().control(PAUSE);
    expect(report.paused).toMatchObject({ reason: "the account is being moved", until: null });
    const { job } = await submitJob();
    const waiting = await jobThat(job, (view) => view.queue?.waitingOn === "paused");
    expect(waiting.queue).toMatchObject({ position: 1, reason: { pausedBecause: "the account is being moved" } });
    await evictDurableObject(laneObject());
    expect(await lane().enqueue(ghost(), false)).toMatchObject({
      lease: null,
      place: { waitingOn: "paused", position: 2 },
    });
    await alarmComes();
    expect(await lane().report()).toMatchObject({ queued: 2, inProgress: 0 });
    expect((await lane().control({ kind: "resume" })).paused).toBeNull();
    const done = await jobThat(job, (view) => view.done);
    expect(done.status).toBe("succeeded");
  });

  it("changes nothing when it is carried out after a later one, also after a restart of its object", async () => {
    await lane().control({ kind: "resume", givenAtMs: Date.now() });
    await evictDurableObject(laneObject());
    expect((await lane().control({ ...PAUSE, givenAtMs: Date.now() - 5_000 })).paused).toBeNull();
    expect((await lane().control({ ...PAUSE, givenAtMs: Date.now() })).paused).toMatchObject({ reason: PAUSE.reason });
  });

  it("answers a pause only when no lease that is out can begin any more", async () => {
    const { lease } = await lane().enqueue(ghost(), false);
    await lane().control(PAUSE);
    expect(Date.now()).toBeGreaterThanOrEqual(lease?.beginByMs ?? Number.POSITIVE_INFINITY);
  });

  it("answers a pause no earlier when a decision throws meanwhile", async () => {
    const { lease } = await lane().enqueue(ghost(), false);
    const pausing = lane().control(PAUSE);
    await expect.poll(async () => (await lane().report()).paused).not.toBeNull();
    // A ticket that no caller sends makes the decision throw, and the object drops what it has in memory.
    await expect(lane().enqueue(null as unknown as Ticket, false)).rejects.toThrow();
    await pausing;
    expect(Date.now()).toBeGreaterThanOrEqual(lease?.beginByMs ?? Number.POSITIVE_INFINITY);
  });

  it("changes the quota through restarts of its object, until the limit is removed", async () => {
    await lane().control({ kind: "limit", change: { starts: 4 }, reason: "the quota was raised", untilMs: null });
    await evictDurableObject(laneObject());
    const answers = [];
    for (let i = 0; i < 5; i += 1) answers.push((await lane().enqueue(ghost(), false)).lease !== null);
    expect(answers).toEqual([true, true, true, true, false]);
    const report = await lane().control({ kind: "unlimit" });
    expect(report).toMatchObject({ quota: { starts: 2 }, limit: null });
  });
});
