import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { basename, resolve } from "node:path";

/** Everything that the bench writes, bundles and reports, is in this folder, which git ignores. */
export const ARTIFACTS = resolve(".artifacts/bench");

/**
 * Builds the bundle that `wrangler deploy` would upload, of the Worker that `configPath` describes with `main` as its entry; both
 * are paths in `checkout`. Returns the path of its module; the error of a failed build contains wrangler's output.
 */
export function buildWorker(name: string, configPath: string, main: string, checkout: string): string {
  // The page is not measured, but wrangler requires its directory.
  mkdirSync(resolve(checkout, "dist/web"), { recursive: true });
  const outDir = resolve(
    ARTIFACTS,
    resolve(checkout) === resolve(".") ? name : `${name}-of-${basename(resolve(checkout))}`,
  );
  // Modules of an earlier build would be used as its own.
  rmSync(outDir, { recursive: true, force: true });
  execFileSync(
    process.execPath,
    ["node_modules/wrangler/bin/wrangler.js", "deploy", main, "--dry-run", "--config", configPath, "--outdir", outDir],
    {
      cwd: checkout,
      env: { ...process.env, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1", CI: "1" },
      stdio: "pipe",
    },
  );
  return resolve(outDir, `${basename(main, ".ts")}.js`);
}
