import { env, exports } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { GRANT_MS } from "../catalog/core/reservations.ts";
import { namespaceWith, send } from "./http.fixture.ts";
import { forgetReserved } from "./submit-limits.ts";

afterEach(() => {
  vi.useRealTimers();
});

const submission = (prompt: string) =>
  new Request("http://localhost:8787/api/workflows/image-from-text", {
    method: "POST",
    headers: { "content-type": "application/json" },
    // With two starts a minute, these jobs stay unfinished.
    body: JSON.stringify({ prompt, model: "qwen-image-max" }),
  });

async function submit(prompt: string): Promise<number> {
  const answer = await exports.default.fetch(submission(prompt));
  await answer.body?.cancel();
  return answer.status;
}

const burst = (count: number) => Promise.all(Array.from({ length: count }, (_, n) => submit(`burst ${n}`)));

it("a burst reserves little more than it uses, and submissions succeed again after it", async () => {
  expect(await burst(40)).toEqual(Array(40).fill(202));
  // The reservations can no longer be used by now, but they still count.
  vi.setSystemTime(Date.now() + GRANT_MS);
  expect(await burst(40)).toEqual(Array(40).fill(202));
  const later: number[] = [];
  for (let n = 0; n < 10; n++) later.push(await submit(`later ${n}`));
  expect(later).toEqual(Array(10).fill(202));
});

it("a reservation that ends before its answer arrives is not used: the submission asks for another", async () => {
  forgetReserved("local");
  let asked = 0;
  const CATALOGS = namespaceWith(env.CATALOGS, "reserve", async (stub, ...given) => {
    const answer = await stub.reserve?.(...given);
    asked += 1;
    if (asked === 1) vi.setSystemTime(Date.now() + GRANT_MS);
    return answer;
  });
  const { answer, settled } = send(submission("late"), { CATALOGS });
  expect((await answer).status).toBe(202);
  await settled();
  expect(asked).toBe(2);
});
