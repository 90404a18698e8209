import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { VERSION } from "./openapi/document.ts";
import { COUNTED_AT_ONCE, SUBMIT_LIMIT } from "./submit-limits.ts";

it("names the package's version in health and in the API's document", () => {
  expect(VERSION).toBe(JSON.parse(readFileSync("package.json", "utf8")).version);
});

it("answers clients the limit on submissions that wrangler.toml sets", () => {
  const simple = /name = "SUBMIT_LIMITER"[\s\S]*?simple = \{ limit = (\d+), period = (\d+) \}/.exec(
    readFileSync("wrangler.toml", "utf8"),
  );
  const [limit, period] = simple?.slice(1).map(Number) ?? [];
  expect((limit ?? 0) * COUNTED_AT_ONCE).toBe(SUBMIT_LIMIT.submissions);
  expect(period).toBe(SUBMIT_LIMIT.periodSeconds);
});
