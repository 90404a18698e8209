/**
 * One side of a comparison: a built Worker in workerd, in a process of its own. `side.ts` starts it with one JSON argument;
 * it prints `{"url": …}` when it is up, and ends with its parent. Miniflare is used without `wrangler dev`'s proxy in
 * front, because a proxy costs every side the same and so brings every ratio nearer to 1.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import type { SideSettings } from "./side.ts";

/** Turns the rate limit off, because the load is intended. Ten seconds is the shorter of the two allowed periods. */
const NO_BRAKE = { limit: 1_000_000_000, period: 10 } as const;

// `side.ts` wrote the one argument.
const settings = JSON.parse(process.argv[2] ?? "") as SideSettings;
// The page's assets are left out: their router belongs to the platform, and no other side has one.
const { assets: _, ...workerOptions } = unstable_getMiniflareWorkerOptions(settings.configPath).workerOptions;
const ratelimits = Object.fromEntries(
  Object.entries(workerOptions.ratelimits ?? {}).map(([name, limit]) => [name, { ...limit, simple: NO_BRAKE }]),
);
const contents = readFileSync(settings.bundlePath, "utf8").replace(/\n\/\/# sourceMappingURL=\S*\s*$/, "\n");
// The modules that the bundle imports, under the names that wrangler gave them.
const wasmModules = readdirSync(dirname(settings.bundlePath))
  .filter((name) => name.endsWith(".wasm"))
  .map((name) => ({
    type: "CompiledWasm" as const,
    path: `/${name}`,
    contents: readFileSync(join(dirname(settings.bundlePath), name)),
  }));
const options = convertV4MiniflareOptions({
  ...workerOptions,
  // Only the bench's own variables: a load test must never use a key from someone's `.dev.vars`.
  bindings: { ...settings.vars },
  ratelimits,
  modulesRoot: "/",
  modules: [{ type: "ESModule", path: "/worker.js", contents }, ...wasmModules],
  host: "127.0.0.1",
  port: 0,
  cf: false,
  resourcePersistencePath: settings.stateDir,
  resourceTmpPath: `${settings.stateDir}/tmp`,
  ...(settings.inspectorPort === null ? {} : { inspectorPort: settings.inspectorPort }),
  handleStructuredLogs: ({ level, message }) => {
    if (level === "error") console.error(message);
  },
});
const miniflare = new Miniflare(options);
const url = await miniflare.ready;
console.log(JSON.stringify({ url: url.origin }));

process.stdin.resume();
process.stdin.once("end", () => {
  void miniflare.dispose().finally(() => process.exit(0));
});
process.on("SIGTERM", () => {
  void miniflare.dispose().finally(() => process.exit(0));
});
process.on("SIGINT", () => {});
