import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { imageKey, inputKey, removeJobFiles } from "./job-files.ts";

afterEach(() => reset());

async function keys(): Promise<string[]> {
  return (await env.RESULTS.list()).objects.map((object) => object.key);
}

describe("removeJobFiles", () => {
  it("removes results and inputs of every attempt, and nothing of another job", async () => {
    const kept = imageKey("job_ab", 1, 0);
    const mine = [imageKey("job_a", 1, 0), imageKey("job_a", 2, 5), inputKey("job_a", "00ff")];
    for (const key of [kept, ...mine]) await env.RESULTS.put(key, "x");
    await removeJobFiles(env.RESULTS, "job_a");
    expect(await keys()).toEqual([kept]);
  });

  it("succeeds at once when nothing is left", async () => {
    await removeJobFiles(env.RESULTS, "job_a");
    expect(await keys()).toEqual([]);
  });

  it.each(["list", "delete"])("fails, and can be repeated, when a %s never answers", async (call) => {
    await env.RESULTS.put(imageKey("job_a", 1, 0), "x");
    const hanging = new Proxy(env.RESULTS, {
      get: (bucket, name) =>
        name === call ? () => new Promise(() => undefined) : Reflect.get(bucket, name).bind(bucket),
    });
    await expect(removeJobFiles(hanging, "job_a", 50)).rejects.toThrow("has not answered");
    await removeJobFiles(env.RESULTS, "job_a");
    expect(await keys()).toEqual([]);
  });

  it("begins no call after its bound, although each call answers within it", async () => {
    await env.RESULTS.put(inputKey("job_a", "00ff"), "x");
    const calls: string[] = [];
    const settled: Promise<unknown>[] = [];
    const slow = new Proxy(env.RESULTS, {
      get:
        (bucket, name) =>
        (...given: unknown[]) => {
          calls.push(String(name));
          const call = scheduler.wait(200).then(() => Reflect.get(bucket, name).apply(bucket, given));
          settled.push(call);
          return call;
        },
    });
    await expect(removeJobFiles(slow, "job_a", 300)).rejects.toThrow("has not answered");
    const made = imageKey("job_a", 1, 0);
    await env.RESULTS.put(made, "x");
    await Promise.all(settled);
    await scheduler.wait(0);
    expect(calls.length).toBeLessThanOrEqual(2);
    expect(await keys()).toContain(made);
  });
});
