/**
 * One side of a comparison: a built Worker in workerd, in a process of its own. Started by `side.ts` with one JSON argument;
 * says `{"url": …}` when it is up, and ends with its parent. Miniflare is used as it is, without `wrangler dev`'s proxy in
 * front: a proxy costs every side the same and so brings every ratio nearer to 1.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import type { SideSettings } from "./side.ts";

/** A brake for strangers; the load is meant. Ten seconds is the shorter of the two periods that there are. */
const NO_BRAKE = { limit: 1_000_000_000, period: 10 } as const;

// The one argument is what `side.ts` wrote.
const settings = JSON.parse(process.argv[2] ?? "") as SideSettings;
// The page's assets are left out: the router before them is the platform's, and no other side has one.
const { assets: _, ...workerOptions } = unstable_getMiniflareWorkerOptions(settings.configPath).workerOptions;
const ratelimits = Object.fromEntries(
  Object.entries(workerOptions.ratelimits ?? {}).map(([name, limit]) => [name, { ...limit, simple: NO_BRAKE }]),
);
const contents = readFileSync(settings.bundlePath, "utf8").replace(/\n\/\/# sourceMappingURL=\S*\s*$/, "\n");
// What the bundle imports beside itself, under the names that wrangler gave.
const wasmModules = readdirSync(dirname(settings.bundlePath))
  .filter((name) => name.endsWith(".wasm"))
  .map((name) => ({
    type: "CompiledWasm" as const,
    path: `/${name}`,
    contents: readFileSync(join(dirname(settings.bundlePath), name)),
  }));
const options = convertV4MiniflareOptions({
  ...workerOptions,
  // Only what the bench says: a key in someone's `.dev.vars` must never meet a load test.
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
