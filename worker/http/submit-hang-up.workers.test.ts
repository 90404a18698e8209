import { createExecutionContext, listDurableObjectIds } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { app } from "./app.ts";

/** A PNG of one pixel. */
const PNG = Uint8Array.fromBase64(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
);

it("carries a submission through whose client hung up while its upload was stored", async () => {
  const stored = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const bucket = new Proxy(env.RESULTS, {
    get: (target, name: keyof R2Bucket) =>
      name !== "put"
        ? target[name]
        : async (key: string, value: ArrayBuffer, options: R2PutOptions) => {
            const object = await target.put(key, value, options);
            stored.resolve();
            await left.promise;
            return object;
          },
  });
  const form = new FormData();
  form.set("prompt", "in oil");
  form.set("image", new Blob([PNG]), "a.png");
  // All that outlives a request whose client is gone.
  const outliving: Promise<unknown>[] = [];
  const ctx = createExecutionContext();
  ctx.waitUntil = (promise) => outliving.push(promise);
  const request = new Request("http://localhost:8787/api/workflows/image-from-reference", {
    method: "POST",
    body: form,
  });
  const answer = app.fetch(request, { ...env, RESULTS: bucket }, ctx);
  await stored.promise;
  expect(outliving).not.toEqual([]);
  left.resolve();
  await Promise.all(outliving);
  expect(await listDurableObjectIds(env.JOBS)).toHaveLength(1);
  expect((await answer).status).toBe(202);
});
