import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** A stand-in for Cloudflare's command: keeps buckets and secrets in a file, notes each call, and fails where a test asks for it. */
const STAND_IN = `#!${process.execPath}
const fs = require("node:fs");
const args = process.argv.slice(2);
const folder = process.env.STAND_IN;
const file = folder + "/cloud.json";
const cloud = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : { buckets: [], secrets: {}, deploys: 0, calls: [] };
const call = args.filter((arg) => !arg.startsWith("-")).join(" ");
const input = args[0] === "secret" && args[1] === "bulk" ? fs.readFileSync(0, "utf8") : null;
cloud.calls.push({ args, input, key: process.env.QWEN_API_KEY ?? null });
const fail = process.env.FAIL_AT && call.startsWith(process.env.FAIL_AT);
let code = fail ? 1 : 0;
if (fail) console.error(process.env.FAIL_WORDS ?? "the cloud says no");
else if (args[0] === "whoami") console.log("You are logged in");
else if (call.startsWith("r2 bucket info")) code = cloud.buckets.includes(args[3]) ? 0 : 1;
else if (call.startsWith("r2 bucket create")) cloud.buckets.push(args[3]);
else if (call.startsWith("secret list")) {
  if (cloud.deploys === 0) { console.error('Worker "' + args[3] + '" not found.'); code = 1; }
  else console.log(JSON.stringify(Object.keys(cloud.secrets).map((name) => ({ name, type: "secret_text" }))));
} else if (call === "deploy") {
  cloud.deploys += 1;
  console.log("Uploaded darkroom (1.00 sec)\\nDeployed darkroom triggers (0.50 sec)\\n  " + process.env.STAND_IN_URL + "\\nCurrent Version ID: 1");
} else if (call.startsWith("secret bulk")) Object.assign(cloud.secrets, JSON.parse(input));
else { console.error("the stand-in does not know: " + call); code = 1; }
if (process.env.LOSE_ANSWER_OF && call.startsWith(process.env.LOSE_ANSWER_OF)) { console.error("fetch failed"); code = 1; }
// Renamed, so that a test that looks meanwhile never reads half of it.
fs.writeFileSync(file + ".new", JSON.stringify(cloud));
fs.renameSync(file + ".new", file);
process.exit(code);
`;

/** What Cloudflare would have stored so far. */
export interface Cloud {
  readonly buckets: readonly string[];
  readonly secrets: Readonly<Record<string, string>>;
  readonly deploys: number;
  readonly calls: readonly {
    readonly args: readonly string[];
    readonly input: string | null;
    readonly key: string | null;
  }[];
}

const EMPTY: Cloud = { buckets: [], secrets: {}, deploys: 0, calls: [] };

/** Puts the stand-in into `folder`, and returns an environment in which it is `wrangler`; `url` is where it deploys to. */
export function standInWrangler(folder: string, url: string): Readonly<Record<string, string>> {
  const bin = join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "wrangler"), STAND_IN);
  chmodSync(join(bin, "wrangler"), 0o755);
  return { PATH: `${bin}${delimiter}${process.env.PATH}`, STAND_IN: folder, STAND_IN_URL: url };
}

export function cloudIn(folder: string): Cloud {
  const file = join(folder, "cloud.json");
  // Only the stand-in writes this file.
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Cloud) : EMPTY;
}
