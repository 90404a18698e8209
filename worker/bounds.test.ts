import { expect, it } from "vitest";
import { OutOfTime, within } from "./bounds.ts";

it("gives the answer of a call that settles in time", async () => {
  expect(await within(60_000, "the bucket", Promise.resolve(5))).toBe(5);
  await expect(within(60_000, "the bucket", Promise.reject(new Error("broken")))).rejects.toThrow("broken");
});

it("throws when a call never settles, and says which", async () => {
  const failed = await within(1, "the bucket", new Promise(() => undefined)).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(OutOfTime);
  expect(String(failed)).toContain("the bucket has not answered within 1 ms");
});

it("drops what a call does after its bound, a failure too", async () => {
  const call = Promise.withResolvers<number>();
  await expect(within(1, "the bucket", call.promise)).rejects.toBeInstanceOf(OutOfTime);
  // An unhandled rejection would fail this run.
  call.reject(new Error("too late"));
  await expect(call.promise).rejects.toThrow("too late");
});
