import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { catalogStub, jobStub } from "../stubs.ts";
import { submission } from "./core/jobs.fixture.ts";

const WAITS = { status: null, workflow: null, limit: 10, cursor: null } as const;

async function listed(client: string): Promise<string[]> {
  const answer = await catalogStub(env, client).list(WAITS);
  return answer.ok ? answer.entries.map(({ id }) => id) : [];
}

/** The last of `count` jobs in one lane, once it is queued there. */
async function waiting(client: string, count: number, tellsCatalog: boolean): Promise<string> {
  const ids = Array.from({ length: count }, (_, number) => `job_${client}-0000000000000000${number}`);
  for (const id of ids) await jobStub(env, id).submit(submission({}, { id, client }), tellsCatalog);
  const last = ids.at(-1) ?? "";
  await expect
    .poll(async () => {
      const answer = await jobStub(env, last).view(client);
      return answer.ok ? answer.view.queue?.position : null;
    })
    .toBeGreaterThan(0);
  return last;
}

it("a job leaves the catalog to its submitter when that notifies it", async () => {
  const last = await waiting("told", 4, true);
  expect(await listed("told")).not.toContain(last);
});

it("a job notifies the catalog when it wakes, if its submitter died before it did", async () => {
  const last = await waiting("died", 4, true);
  await evictDurableObject(env.JOBS.getByName(last));
  await jobStub(env, last).view("died");
  await expect.poll(() => listed("died")).toContain(last);
});

it("a job notifies the catalog itself when its submitter does not", async () => {
  const last = await waiting("self", 4, false);
  await expect.poll(() => listed("self")).toContain(last);
});
