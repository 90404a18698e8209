/** `npm run check:deploy`: runs the deploy as a dry run and checks what would be uploaded. Needs no account and no network. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** The smaller, older Workers limit on a compressed Worker (docs/platform/limits: 3 MB on the free plan). */
const MAX_GZIP_BYTES = 3 * 1024 * 1024;

// The Worker is checked even when the page was not built yet; `npm run deploy` builds it.
mkdirSync("dist/web", { recursive: true });
const out = mkdtempSync(join(tmpdir(), "darkroom-deploy-"));
try {
  const args = ["deploy", "--dry-run", "--outdir", out];
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1" };
  const { status, stdout, stderr } = spawnSync("wrangler", args, { encoding: "utf8", env });
  if (status !== 0) throw new Error(`wrangler deploy --dry-run failed:\n${stdout}\n${stderr}`);
  const scripts = readdirSync(out, { recursive: true, encoding: "utf8" })
    .map((name) => join(out, name))
    .filter((path) => statSync(path).isFile() && path.endsWith(".js"));
  if (scripts.length === 0) throw new Error("the dry run wrote no script");
  const code = Buffer.concat(scripts.map((path) => readFileSync(path)));
  const gzip = gzipSync(code).length;
  if (gzip > MAX_GZIP_BYTES) throw new Error(`the Worker is ${gzip} bytes compressed, more than ${MAX_GZIP_BYTES}`);
  for (const name of ["QWEN_API_KEY", "SIGNING_SECRET", "SIGNING_SECRET_OLD"]) {
    const value = process.env[name];
    if (value !== undefined && value.length >= 8 && code.includes(value))
      throw new Error(`the bundle holds the value of ${name}`);
  }
  console.log(
    `dry run ok: ${(code.length / 1024).toFixed(0)} KiB of script, ${(gzip / 1024).toFixed(0)} KiB compressed`,
  );
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
