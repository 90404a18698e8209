import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { VERSION } from "./version.ts";

it("is the package's version", () => {
  const manifest = JSON.parse(readFileSync("package.json", "utf8"));
  expect(VERSION).toBe(manifest.version);
});
