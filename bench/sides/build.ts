import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { basename, resolve } from "node:path";

/** Everything the bench writes, bundles and reports alike, is here and ignored by git. */
export const ARTIFACTS = resolve(".artifacts/bench");

/**
 * The bundle that `wrangler deploy` would upload, of the Worker that `configPath` describes with `main` as its entry.
 * Answers the path of its module; wrangler's words come along in the error when it cannot be built.
 */
export function buildWorker(name: string, configPath: string, main: string): string {
  // The page is no part of what is measured, but wrangler wants its directory.
  mkdirSync("dist/web", { recursive: true });
  const outDir = resolve(ARTIFACTS, name);
  // Modules of an earlier build would be taken for its own.
  rmSync(outDir, { recursive: true, force: true });
  execFileSync(
    process.execPath,
    ["node_modules/wrangler/bin/wrangler.js", "deploy", main, "--dry-run", "--config", configPath, "--outdir", outDir],
    { env: { ...process.env, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1", CI: "1" }, stdio: "pipe" },
  );
  return resolve(outDir, `${basename(main, ".ts")}.js`);
}
