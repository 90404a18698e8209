import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { laneStub } from "../stubs.ts";
import type { Ticket } from "./contract.ts";
import { laneName } from "./lane-name.ts";

let lanes = 0;

/** A lane that no other test uses, of a model with two starts a minute. */
function newLane() {
  lanes += 1;
  const name = laneName({ baseUrl: `https://host-${lanes}.example.com` }, "qwen-image-max");
  return { lane: laneStub(env, name), stub: env.LANES.getByName(name) };
}

let jobs = 0;

function ticket(overrides: Partial<Ticket> = {}): Ticket {
  jobs += 1;
  return {
    jobId: `job_${String(jobs).padStart(21, "0")}`,
    client: "ann",
    priority: "normal",
    round: 1,
    ...overrides,
  };
}

describe("LaneDispatcher", () => {
  it("starts at once what the quota allows, and puts the rest in line", async () => {
    const { lane } = newLane();
    const answers = [];
    for (let i = 0; i < 4; i += 1) answers.push(await lane.enqueue(ticket(), false));
    expect(answers.map((answer) => answer.lease !== null)).toEqual([true, true, false, false]);
    expect(answers.map((answer) => answer.place?.position)).toEqual([undefined, undefined, 1, 2]);
    expect(await lane.report()).toMatchObject({ queued: 2, inProgress: 2, mode: "open", pace: 1 });
  });

  it("stores nothing for a lane that is only looked at", async () => {
    const { lane, stub } = newLane();
    expect(await lane.report()).toMatchObject({ model: "qwen-image-max", queued: 0, inProgress: 0, nextStartAt: null });
    const tables = await runInDurableObject(stub, (_lane, state) =>
      state.storage.sql.exec("SELECT name FROM sqlite_master").toArray(),
    );
    expect(tables).toEqual([]);
    expect(await runDurableObjectAlarm(stub)).toBe(false);
  });

  it("finds its line, its window and its leases after an eviction", async () => {
    const { lane, stub } = newLane();
    for (let i = 0; i < 3; i += 1) await lane.enqueue(ticket(), false);
    const before = await lane.report();
    await evictDurableObject(stub);
    expect(await lane.report()).toEqual(before);
    expect((await lane.enqueue(ticket(), false)).place?.position).toBe(2);
  });
});
