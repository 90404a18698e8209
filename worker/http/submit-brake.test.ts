import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { COUNTED_AT_ONCE, SUBMIT_LIMIT } from "./submit-brake.ts";

it("tells clients the limit that wrangler.toml sets", () => {
  const simple = /name = "SUBMIT_LIMITER"[\s\S]*?simple = \{ limit = (\d+), period = (\d+) \}/.exec(
    readFileSync("wrangler.toml", "utf8"),
  );
  const [limit, period] = simple?.slice(1).map(Number) ?? [];
  expect((limit ?? 0) * COUNTED_AT_ONCE).toBe(SUBMIT_LIMIT.submissions);
  expect(period).toBe(SUBMIT_LIMIT.periodSeconds);
});
