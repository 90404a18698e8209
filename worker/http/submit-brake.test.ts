import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { SUBMIT_LIMIT } from "./submit-brake.ts";

it("tells clients the limit that wrangler.toml sets", () => {
  const simple = /name = "SUBMIT_LIMITER"[\s\S]*?simple = \{ limit = (\d+), period = (\d+) \}/.exec(
    readFileSync("wrangler.toml", "utf8"),
  );
  expect(simple?.slice(1).map(Number)).toEqual([SUBMIT_LIMIT.submissions, SUBMIT_LIMIT.periodSeconds]);
});
