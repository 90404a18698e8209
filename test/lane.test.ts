import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Job } from "../schemas/job.ts";
import type { Limits } from "../schemas/limits.ts";
import { type Product, startProduct } from "./support/product.ts";
import { api, CLIENTS, submit, TOKEN_VARS } from "./support/token-clients.ts";
import { until } from "./support/until.ts";

describe.concurrent("the documented quota of two a minute, six times as fast", () => {
  const PERIOD_MS = 10_000;
  let product: Product;

  beforeAll(async () => {
    product = await startProduct({
      // Upstream gets a call a little after its start, on a loaded machine seconds later. So its quota has half the period.
      emulator: { quota: "sliding", quotaScale: PERIOD_MS / 2 / 60_000, latencyMs: 300 },
      env: {
        ...TOKEN_VARS,
        LANE_LIMITS: JSON.stringify({ "qwen-image-max": { starts: 2, periodMs: PERIOD_MS, inProgress: 2 } }),
        // The first two calls are held until all jobs are in line, which takes long on a loaded machine. No budget may end them.
        QWEN_TIMEOUT_MS: "280000",
      },
    });
  });
  afterAll(() => product?.stop());

  it("twelve jobs of three clients: no 429, fair turns, in the order of their places", {
    timeout: 180_000,
  }, async () => {
    // After the first two nothing starts until all jobs are in line. The emulator counts a call that it holds at its arrival only when
    // that is released, which may be just before the next two.
    await product.emulator.addFault({ times: 2, fault: { type: "hold", at: "answer" } });
    const submitted: { client: string; job: Job }[] = [];
    for (const client of CLIENTS) {
      for (let i = 0; i < 4; i += 1) submitted.push({ client, job: await submit(product, client, `${client} ${i}`) });
    }
    const jobs = () =>
      Promise.all(submitted.map(({ client, job }) => api<Job>(product, `/api/jobs/${job.id}`, client)));
    // A job that nobody watches asks its lane for its place only from time to time.
    const byPlace = await until("two calls held, and ten jobs that know their places", async () => {
      const inLine = (await jobs()).filter((job) => job.queue !== null);
      const sorted = inLine.toSorted((a, b) => (a.queue?.position ?? 0) - (b.queue?.position ?? 0));
      const areKnown = sorted.length === 10 && sorted.every((job, index) => job.queue?.position === index + 1);
      return areKnown && (await product.emulator.held()).length === 2 ? sorted : undefined;
    });
    await product.emulator.release();
    const done = await until(
      "all jobs done",
      async () => {
        const now = await jobs();
        return now.every((job) => job.done) ? now : undefined;
      },
      150_000,
    );
    expect(done.map((job) => job.status)).toEqual(done.map(() => "succeeded"));
    expect(done.map((job) => job.attempts.map(({ outcome }) => outcome))).toEqual(done.map(() => ["succeeded"]));
    const { calls } = await product.emulator.ledger();
    expect(calls).toHaveLength(12);

    const starts = submitted
      .map(({ client, job }, index) => ({ client, id: job.id, atMs: Date.parse(done[index]?.startedAt ?? "") }))
      .toSorted((a, b) => a.atMs - b.atMs);
    // Even when starts are late, the third is never within a period of the first.
    for (const [index, { atMs }] of starts.slice(2).entries()) {
      expect(atMs - (starts[index]?.atMs ?? Number.NaN)).toBeGreaterThanOrEqual(PERIOD_MS);
    }
    // Ann's first two found the lane empty; then each three starts serve each client once, as long as each has jobs.
    const order = starts.map(({ client }) => client);
    expect(order.slice(0, 2)).toEqual(["ann", "ann"]);
    for (const turn of [byPlace.slice(0, 3), byPlace.slice(3, 6)]) {
      expect(new Set(turn.map(({ id }) => starts.find((start) => start.id === id)?.client)).size).toBe(3);
    }
    // Two jobs start almost at once, in either order.
    for (let at = 0; at < byPlace.length; at += 2) {
      const started = starts.slice(at + 2, at + 4).map(({ id }) => id);
      expect(started.toSorted()).toEqual(
        byPlace
          .slice(at, at + 2)
          .map(({ id }) => id)
          .toSorted(),
      );
    }
  });
});

describe.concurrent("a wrong key, and the right one after a restart", () => {
  let product: Product;

  beforeAll(async () => {
    product = await startProduct({ emulator: { apiKeys: ["sk-right"] }, env: { QWEN_API_KEY: "sk-wrong" } });
  });
  afterAll(() => product?.stop());

  // This takes at least as long as the lane's probe: one a minute.
  it("jobs wait visibly with the hint, then all complete", { timeout: 120_000 }, async () => {
    const jobs: Job[] = [];
    for (let i = 0; i < 5; i += 1) jobs.push(await submit(product, "local", `once the key is right ${i}`));
    const look = () => Promise.all(jobs.map((job) => api<Job>(product, `/api/jobs/${job.id}`, "local")));
    const blocked = await until("all jobs blocked", async () => {
      const now = await look();
      return now.every((job) => job.queue?.waitingOn === "blocked") ? now : undefined;
    });
    for (const job of blocked) {
      expect(job).toMatchObject({ status: "queued", queue: { estimatedStartAt: null } });
      expect(job.queue?.detail).toContain("InvalidApiKey");
      expect(job.queue?.detail).toContain("region");
    }
    const lane = await until("the lane's block in the limits", async () => {
      const { lanes } = await api<Limits>(product, "/api/limits", "local");
      return lanes.find((each) => each.model === "qwen-image-max" && each.blocked !== null);
    });
    expect(lane).toMatchObject({ mode: "blocked", queued: 5, inProgress: 0, blocked: { code: "InvalidApiKey" } });
    expect(lane.blocked?.hint).toContain("region");
    const refused = (await product.emulator.ledger()).calls.length;

    await product.kill("worker");
    await product.restart({ QWEN_API_KEY: "sk-right" });
    const done = await until(
      "all jobs done",
      async () => {
        const now = await look();
        return now.every((job) => job.done) ? now : undefined;
      },
      90_000,
    );
    expect(done.map((job) => job.status)).toEqual(done.map(() => "succeeded"));
    // No attempt while the lane was blocked counts, and none was billed.
    expect(done.flatMap((job) => job.attempts.filter((attempt) => attempt.counted))).toHaveLength(5);
    const { calls, summary } = await product.emulator.ledger();
    expect(calls.length - refused).toBe(5);
    expect(summary.billedImages).toBe(5);
  });
});
