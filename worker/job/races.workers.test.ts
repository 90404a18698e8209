import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { until } from "../../test/support/until.ts";
import { catalogStub, laneStub } from "../stubs.ts";
import { CLIENT, laneOf, SYNC_MODEL, type TestJob, testJob, withoutJitter } from "./job.fixture.ts";

beforeEach(withoutJitter);

/** A job just before a change, and what causes the change. */
interface Brink {
  readonly job: TestJob;
  readonly push: () => Promise<void>;
  /** Resolves when upstream's part is over, after which nothing late can come. */
  readonly over: () => Promise<void>;
}

/** A copy that failed is repeated after this long, without jitter. */
const LEAST_COPY_BACKOFF_MS = 250;

async function answered(job: TestJob): Promise<void> {
  await until("the end of the first call", async () =>
    (await job.ledger()).submits[0]?.end == null ? undefined : true,
  );
}

async function heldJob(): Promise<TestJob> {
  const job = await testJob().spoil({ fault: { type: "hold", at: "answer" } });
  await job.submit();
  await job.held();
  return job;
}

const MOMENTS: Readonly<Record<string, () => Promise<Brink>>> = {
  "an attempt that is about to deliver": async () => {
    const job = await heldJob();
    return { job, push: () => job.release(), over: () => answered(job) };
  },
  "a late answer that is about to come": async () => {
    const job = await heldJob();
    await job.until("past its budget", ({ status }) => status === "retrying");
    return { job, push: () => job.release(), over: () => answered(job) };
  },
  "images that are being stored": async () => {
    const job = testJob();
    await (await job.spoil({ fault: { type: "result", how: "server-error", times: 6 }, times: null })).submit();
    await until("the first copy", async () =>
      (await job.ledger()).billed[0]?.downloads.length === 1 ? true : undefined,
    );
    const againAtMs = Date.now() + LEAST_COPY_BACKOFF_MS;
    return {
      job,
      push: async () => undefined,
      over: async () => void (await until("the next copy's time", () => (Date.now() > againAtMs ? true : undefined))),
    };
  },
};

/** `before`: the act is over before the push. `with`: both at once, and either may win. */
const ORDERS = ["before", "with"] as const;

async function race<Answer>(order: (typeof ORDERS)[number], brink: Brink, act: () => Promise<Answer>): Promise<Answer> {
  if (order === "with") {
    const [answer] = await Promise.all([act(), brink.push()]);
    return answer;
  }
  const answer = await act();
  await brink.push();
  return answer;
}

const finals = async (job: TestJob) =>
  (await job.eventTypes()).filter((type) => ["job.succeeded", "job.failed", "job.canceled"].includes(type));

async function isInNoLane(): Promise<void> {
  const lane = laneStub(env, laneOf(SYNC_MODEL));
  await until("an empty lane", async () => {
    const { queued, inProgress } = await lane.report();
    return queued + inProgress === 0 ? true : undefined;
  });
}

describe.each(Object.entries(MOMENTS))("%s", (_moment, brinkOf) => {
  describe.each(ORDERS)("and a call that comes %s it", (order) => {
    it.concurrent("cancel: it stays canceled, or was done already; a repeated cancel gets the same answer", async () => {
      const brink = await brinkOf();
      const { job } = brink;
      const answer = await race(order, brink, () => job.rpc.cancel(null));
      await brink.over();
      const view = await job.done();
      if (answer.ok) expect(answer.view.status).toBe("canceled");
      else expect(answer).toEqual({ ok: false, code: "job_finished", status: "succeeded" });
      if (order === "before") expect(answer.ok).toBe(true);
      expect(view.status).toBe(answer.ok ? "canceled" : "succeeded");
      expect(view.output === null).toBe(answer.ok);
      expect(await finals(job)).toHaveLength(1);
      const again = await job.rpc.cancel(null);
      expect(again.ok).toBe(answer.ok);
      if (again.ok && answer.ok) expect(again.view.seq).toBe(answer.view.seq);
      expect(await job.view()).toEqual(view);
      const { submits, billed } = await job.ledger();
      expect([submits.length, billed.length]).toEqual([1, 1]);
      // The attempt shows that upstream may have billed an image.
      expect(view.attempts).toMatchObject([{ mayBeBilled: true, stillOpen: false }]);
    });

    it.concurrent("retry: refused, and nothing is made twice", async () => {
      const brink = await brinkOf();
      const { job } = brink;
      const answer = await race(order, brink, () => job.rpc.retry(null));
      expect(answer.ok ? null : answer.code).toMatch(/^job_(not_)?finished$/);
      await brink.over();
      expect((await job.done()).status).toBe("succeeded");
      expect(await finals(job)).toEqual(["job.succeeded"]);
      const { submits, billed } = await job.ledger();
      expect([submits.length, billed.length]).toEqual([1, 1]);
    });

    it.concurrent("delete: it is removed with its images, its list entry and its lease; a repeated delete answers that it is gone", async () => {
      const brink = await brinkOf();
      const { job } = brink;
      expect(await race(order, brink, () => job.rpc.remove(null))).toEqual({ ok: true });
      await brink.over();
      const gone = { ok: false, code: "job_gone" };
      expect(await job.rpc.remove(null)).toEqual(gone);
      expect(await job.rpc.view(null)).toEqual(gone);
      expect(await job.rpc.retry(null)).toEqual(gone);
      await until("an empty bucket", async () => ((await job.images()).length === 0 ? true : undefined));
      const query = { status: null, workflow: null, limit: 100, cursor: null };
      await until("a list without it", async () => {
        const answer = await catalogStub(env, CLIENT).list(query);
        return answer.ok && answer.entries.every(({ id }) => id !== job.id) ? true : undefined;
      });
      expect((await job.ledger()).submits).toHaveLength(1);
    });

    it.concurrent("cancel and retry at once: what is stored is not made again", async () => {
      const brink = await brinkOf();
      const { job } = brink;
      const both = () => Promise.all([job.rpc.cancel(null), job.rpc.retry(null)]);
      const [canceled, retried] = await race(order, brink, both);
      expect(retried.ok).toBe(canceled.ok);
      await brink.over();
      const view = await job.done();
      expect(view.status).toBe("succeeded");
      const { submits } = await job.ledger();
      const types = await job.eventTypes();
      // Only an attempt whose links were not stored before the cancel is made again.
      const storedFirst = types.indexOf("job.storing") < types.indexOf("job.canceled") && types.includes("job.storing");
      const anew = canceled.ok && !storedFirst;
      expect(submits).toHaveLength(anew ? 2 : 1);
      expect(await finals(job)).toEqual(canceled.ok ? ["job.canceled", "job.succeeded"] : ["job.succeeded"]);
    });
  });
});

describe("a job that is not with upstream", () => {
  it("canceled while it asks for its place leaves no lease behind", async () => {
    const job = testJob();
    const [, canceled] = await Promise.all([job.rpc.submit(job.submission), job.rpc.cancel(null)]);
    expect(canceled).toMatchObject({ ok: true, view: { status: "canceled" } });
    await isInNoLane();
  });

  it("deleted while it asks for its place leaves no lease behind", async () => {
    const job = testJob();
    const [, removed] = await Promise.all([job.rpc.submit(job.submission), job.rpc.remove(null)]);
    expect(removed).toEqual({ ok: true });
    await isInNoLane();
  });

  it("canceled in the queue leaves the queue", async () => {
    const lane = laneStub(env, laneOf("wan2.2-t2i-flash"));
    await lane.observe({ kind: "blocked", code: "InvalidApiKey", hint: "by a test" });
    const job = await testJob({ model: "wan2.2-t2i-flash", size: "1024*1024" }).submit();
    await job.until("in line", ({ queue }) => queue?.position === 1);
    await job.rpc.cancel(null);
    await until("an empty line", async () => ((await lane.report()).queued === 0 ? true : undefined));
    expect((await job.ledger()).submits).toEqual([]);
  });

  it("canceled in its backoff stays canceled", async () => {
    const fault = { type: "error", code: "ModelUnavailable", retryAfter: "1" } as const;
    const job = await (await testJob().spoil({ fault })).submit();
    const waiting = await job.until("waiting", ({ status }) => status === "retrying");
    const canceled = await job.rpc.cancel(null);
    // By then the alarm that was set for the retry has run.
    await until("the retry's time", () =>
      Date.now() > Date.parse(waiting.attempts[0]?.retryAt ?? "") ? true : undefined,
    );
    expect(await job.view()).toEqual(canceled.ok && canceled.view);
    expect((await job.ledger()).submits).toHaveLength(1);
  });

  it("retried twice at once is retried once", async () => {
    const job = await testJob().spoil({ fault: { type: "error", code: "DataInspectionFailed" } });
    await (await job.submit()).done();
    const answers = await Promise.all([job.rpc.retry(null), job.rpc.retry(null)]);
    expect(answers.map(({ ok }) => ok)).toEqual([true, false]);
    expect((await job.done()).status).toBe("succeeded");
    expect((await job.ledger()).submits).toHaveLength(2);
  });
});
