import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { jobStub } from "../stubs.ts";
import { submission } from "./core/jobs.fixture.ts";

it("a waiting job shows its place in the first answer after an eviction", async () => {
  const ids = [1, 2, 3, 4].map((number) => `job_place-000000000000000${number}`);
  for (const id of ids) {
    const answer = await jobStub(env, id).submit(submission({}, { id, client: "place" }));
    expect(answer.ok).toBe(true);
  }
  const last = ids.at(-1) ?? "";
  await expect
    .poll(async () => {
      const answer = await jobStub(env, last).view("place");
      return answer.ok ? answer.view.queue?.position : null;
    })
    .toBe(2);
  await evictDurableObject(env.JOBS.getByName(last));
  const answer = await jobStub(env, last).view("place");
  expect(answer.ok && answer.view.queue).toMatchObject({ position: 2, waitingOn: "turn" });
});
