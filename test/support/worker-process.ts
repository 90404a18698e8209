/**
 * Runs a bundled Worker in workerd until it is killed, without `wrangler dev` around it, which takes more than half of a
 * start's CPU time. The one argument is the path of a file of `WorkerProcessSettings`. Prints the Worker's own output.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import type { Unstable_MiniflareWorkerOptions } from "wrangler";

export interface WorkerProcessSettings {
  /** The folder that `wrangler deploy --outdir` filled: `index.js`, and the modules that it imports. */
  readonly bundle: string;
  /** What `wrangler.toml` declares, its variables included. */
  readonly options: Unstable_MiniflareWorkerOptions["workerOptions"];
  /** Variables over the declared ones. */
  readonly vars: Readonly<Record<string, string>>;
  readonly port: number;
  readonly stateDir: string;
  /** Whether the Worker's `console.log` is printed; warnings and errors always are. */
  readonly isVerbose: boolean;
}

const MAIN = "index.js";
// `product.ts` wrote the one argument.
const { bundle, options, vars, port, stateDir, isVerbose } = JSON.parse(
  readFileSync(process.argv[2] ?? "", "utf8"),
) as WorkerProcessSettings;
const wasm = readdirSync(bundle).filter((name) => name.endsWith(".wasm"));
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    ...options,
    bindings: { ...(options.bindings as object | undefined), ...vars },
    modulesRoot: bundle,
    modules: [
      { type: "ESModule", path: join(bundle, MAIN) },
      ...wasm.map((name) => ({ type: "CompiledWasm" as const, path: join(bundle, name) })),
    ],
    host: "localhost",
    port,
    cf: false,
    // The local runtime stores each object's name in its database, which the fuzz test reads.
    unsafeInspectDurableObjects: true,
    // Where `wrangler dev --persist-to` stores it.
    resourcePersistencePath: join(stateDir, "v3"),
    resourceTmpPath: join(stateDir, "tmp"),
    handleStructuredLogs: ({ level, message }) => {
      const isProblem = level === "warn" || level === "error";
      if (isProblem) console.error(message);
      else if (isVerbose) console.log(message);
    },
  }),
);
const end = () => void miniflare.dispose().finally(() => process.exit(0));
process.on("SIGTERM", end);
process.on("SIGINT", end);
await miniflare.ready;
