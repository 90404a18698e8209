import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

/** Every object of wrangler.toml: wrangler does not build a Worker that has the bindings and lacks an object. */
const objects = [...readFileSync("wrangler.toml", "utf8").matchAll(/^\[exports\.(\w+)\]/gm)].map(
  ([, name = ""]) => name,
);

it.each(["bench/counted/worker.ts", "bench/lane-alone/worker.ts"])(
  "%s has every object that it is bound to",
  (file) => {
    const exported = readFileSync(file, "utf8").match(/^export .*$/gm) ?? [];
    expect(objects.length).toBeGreaterThan(3);
    expect(objects.filter((name) => !exported.some((line) => line.split(/\W+/).includes(name)))).toEqual([]);
  },
);
