import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Job } from "../schemas/job.ts";
import type { LaneReport } from "../schemas/limits.ts";
import { type Product, startProduct } from "./support/product.ts";
import { api, CLIENTS, OPERATOR, submit, TOKEN_VARS } from "./support/token-clients.ts";
import { until } from "./support/until.ts";

describe("a lane that is paused under load", () => {
  const MODEL = "qwen-image-max";
  /** Only a machine that is busy with other tests takes this long. */
  const WITHIN_MS = 120_000;
  let product: Product;

  beforeAll(async () => {
    product = await startProduct({
      emulator: { latencyMs: 300 },
      env: {
        ...TOKEN_VARS,
        // So that the held call does not pass its budget on a slow machine.
        QWEN_TIMEOUT_MS: "280000",
        // One at a time, so that the order of starts is the order of the queue.
        LANE_LIMITS: JSON.stringify({ [MODEL]: { starts: 1, periodMs: 500, inProgress: 1 } }),
      },
    });
  });
  afterAll(() => product?.stop());

  it("starts nothing after the answer, through kills, and continues in the old order once it is resumed", {
    timeout: 600_000,
  }, async () => {
    // The fourth call is held until the lane is paused: a running attempt continues.
    await product.emulator.addFault({ times: 1, skip: 3, fault: { type: "hold", at: "arrival" } });
    const submitted: { client: string; job: Job }[] = [];
    const submitOne = async (client: string, name: string) => {
      submitted.push({ client, job: await submit(product, client, `${client} ${name}`) });
    };
    for (let i = 0; i < 5; i += 1) for (const client of CLIENTS) await submitOne(client, String(i));
    const look = () =>
      Promise.all(submitted.map(({ client, job }) => api<Job>(product, `/api/jobs/${job.id}`, client)));
    const inLine = (what: string, count: number) =>
      until(
        what,
        async () => {
          const waiting = (await look()).filter(({ queue }) => queue?.waitingOn === "paused");
          const sorted = waiting.toSorted((a, b) => (a.queue?.position ?? 0) - (b.queue?.position ?? 0));
          const areKnown = sorted.every(({ queue }, index) => queue?.position === index + 1);
          return areKnown && sorted.length === count ? sorted.map(({ id }) => id) : undefined;
        },
        WITHIN_MS,
      );
    const starts = async () => (await product.emulator.ledger()).calls.filter(({ kind }) => kind === "submit");
    await until("the held call", async () => (await product.emulator.held())[0], WITHIN_MS);

    const reason = "the account is being moved";
    const paused = await api<LaneReport>(product, `/api/lanes/${MODEL}/pause`, OPERATOR, { reason });
    const pausedAtMs = Date.now();
    expect(paused).toMatchObject({ queued: 11, inProgress: 1, paused: { reason } });
    const order = await inLine("eleven jobs that know that they are paused", 11);
    await product.emulator.release();
    const haveFourEnded = async () => (await look()).filter(({ done }) => done).length === 4 || undefined;
    await until("the end of the running attempt", haveFourEnded, WITHIN_MS);
    await product.kill("worker");
    await product.restart();
    expect(await inLine("the same places after a kill", 11)).toEqual(order);
    await submitOne("ann", "submitted while paused");
    await product.kill("all");
    await product.restart();
    const places = await inLine("the same places, and a new one, after another kill", 12);
    expect(places.filter((id) => order.includes(id))).toEqual(order);
    expect(await starts()).toHaveLength(4);

    const resumedAtMs = Date.now();
    const resumed = await api<LaneReport>(product, `/api/lanes/${MODEL}/resume`, OPERATOR, {});
    expect(resumed.paused).toBeNull();
    const done = await until(
      "all jobs done",
      async () => {
        const now = await look();
        return now.every((job) => job.done) ? now : undefined;
      },
      WITHIN_MS,
    );
    expect(done.map((job) => [job.status, job.attempts.length])).toEqual(done.map(() => ["succeeded", 1]));
    const calls = await starts();
    expect(calls.filter(({ atMs }) => atMs > pausedAtMs && atMs < resumedAtMs)).toEqual([]);
    expect(calls).toHaveLength(16);
    expect((await product.emulator.summary()).billedImages).toBe(16);
    const promptOf = new Map(submitted.map(({ job }) => [job.id, job.request.prompt]));
    expect(calls.slice(4).map(({ prompt }) => prompt)).toEqual(places.map((id) => promptOf.get(id)));
  });
});
