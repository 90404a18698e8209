import { exports } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { GRANT_MS } from "../catalog/core/reservations.ts";

afterEach(() => {
  vi.useRealTimers();
});

async function submit(prompt: string): Promise<number> {
  const answer = await exports.default.fetch("http://localhost:8787/api/workflows/image-from-text", {
    method: "POST",
    headers: { "content-type": "application/json" },
    // With two starts a minute, these jobs stay unfinished.
    body: JSON.stringify({ prompt, model: "qwen-image-max" }),
  });
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
