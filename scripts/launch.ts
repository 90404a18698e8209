/**
 * `npm run launch`: makes a first deployment, up to a service that passes the doctor. A second run continues where the first
 * stopped, and leaves existing parts unchanged. wrangler gets secrets by its standard input, never in arguments or files.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { paths } from "../schemas/paths.ts";
import { askAboutKey } from "../worker/dashscope/ask-about-key.ts";
import type { KeyAnswer } from "../worker/dashscope/contract.ts";
import { REGION_HOSTS, REGION_NAMES, type Region } from "../worker/dashscope/wire.ts";

const USAGE = `usage: npm run launch -- [options]
  --name NAME        of the Worker; its bucket is NAME-results (default: what wrangler.toml says)
  --region REGION    ${Object.keys(REGION_HOSTS).join(", ")}: where the key was made (default: what wrangler.toml says)
  --base-url URL     a workspace's own DashScope host; ends before /api/v1 (default: what wrangler.toml says)
  --client NAME      the first client, who gets a token (default: my-app)
  --yes              asks nothing
The DashScope key is read from QWEN_API_KEY in the environment, or asked for: arguments are seen by everyone on a machine.`;

const CONFIG_FILE = "wrangler.toml";
/** A new address may take a minute until it is known everywhere. */
const UP_WITHIN_MS = 120_000;
const KEY_CHECK_WITHIN_MS = 10_000;

/** Ends the run with a message for people. */
class Trouble extends Error {}

interface Settings {
  readonly name: string;
  readonly region: Region;
  readonly baseUrl: string | null;
}

// ── wrangler.toml

function settingIn(toml: string, key: string): string | null {
  return new RegExp(`^${key} = "([^"]*)"`, "m").exec(toml)?.[1] ?? null;
}

function withValue(toml: string, key: string, value: string): string {
  const line = `${key} = "${value}"`;
  const known = new RegExp(`^${key} = "[^"]*"`, "m");
  return known.test(toml) ? toml.replace(known, line) : toml.replace(/^\[vars\]$/m, `[vars]\n${line}`);
}

/** The file with the chosen settings; everything else in it is unchanged. */
function withSettings(toml: string, { name, region, baseUrl }: Settings): string {
  let text = withValue(toml, "name", name);
  text = withValue(text, "bucket_name", `${name}-results`);
  text = withValue(text, "QWEN_REGION", region);
  return baseUrl === null ? text : withValue(text, "QWEN_BASE_URL", baseUrl);
}

// ── asking

/** Asks a person for a line. When `hidden`, the typed text is not shown. */
async function asked(question: string, hidden: boolean): Promise<string> {
  const input = createInterface({ input: process.stdin, output: process.stdout, terminal: true });
  if (hidden) {
    // readline would redraw this text with each key.
    const quiet = input as unknown as { _writeToOutput: (text: string) => void };
    quiet._writeToOutput = (text) => {
      if (text.includes(question)) process.stdout.write(text);
    };
  }
  const answer = await new Promise<string>((resolve, reject) => {
    input.question(question, resolve);
    input.once("close", () => reject(new Trouble("stopped")));
  });
  input.close();
  if (hidden) process.stdout.write("\n");
  return answer.trim();
}

async function chosen(given: string | undefined, question: string, fallback: string, silent: boolean): Promise<string> {
  if (given !== undefined) return given;
  if (silent) return fallback;
  return (await asked(`${question} [${fallback}] `, false)) || fallback;
}

// ── wrangler

interface Outcome {
  readonly ok: boolean;
  /** `text` is both streams, for people; `stdout` is the first one, for reading values from it. */
  readonly text: string;
  readonly stdout: string;
}

async function wrangler(args: readonly string[], input: string | null = null, shown = false): Promise<Outcome> {
  const { QWEN_API_KEY: _, ...env } = process.env;
  const child = spawn("wrangler", [...args], {
    stdio: [input === null ? "ignore" : "pipe", "pipe", "pipe"],
    env: { ...env, WRANGLER_HIDE_BANNER: "true" },
  });
  let text = "";
  let stdout = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += String(chunk);
    text += String(chunk);
    if (shown) process.stdout.write(chunk);
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    text += String(chunk);
    if (shown) process.stderr.write(chunk);
  });
  // A child that ends before it has read everything reports the reason itself.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (error) =>
      reject(new Trouble(`wrangler cannot be started: ${error.message}. Run npm ci first.`)),
    );
    child.once("close", resolve);
  });
  return { ok: code === 0, text: text.trim(), stdout };
}

async function mustDo(
  what: string,
  args: readonly string[],
  input: string | null = null,
  shown = false,
): Promise<Outcome> {
  const outcome = await wrangler(args, input, shown);
  if (outcome.ok) return outcome;
  const said = shown ? "see above" : outcome.text;
  throw new Trouble(`${what} failed (wrangler ${args.join(" ")}): ${said}`);
}

// ── the steps

async function signedIn(): Promise<void> {
  const { ok, text } = await wrangler(["whoami"]);
  if (ok && !/not (authenticated|logged in)/i.test(text)) return;
  const said = ok ? "" : ` What wrangler said: ${text}`;
  throw new Trouble(
    `wrangler is not signed in to Cloudflare: run  npx wrangler login  (or set CLOUDFLARE_API_TOKEN).${said}`,
  );
}

/**
 * The names of the Worker's secrets; none while there is no Worker. Stops at any other failure, because an existing secret
 * must not be replaced.
 */
async function secretsOf(name: string): Promise<ReadonlySet<string>> {
  const { ok, stdout, text } = await wrangler(["secret", "list", "--name", name, "--format", "json"]);
  if (!ok && /Worker "[^"]*"[^\n]* not found|code: 10007\b/.test(text)) return new Set();
  if (!ok) throw new Trouble(`the secrets of ${name} could not be listed: ${text}`);
  try {
    // wrangler prints [{"name": …, "type": …}].
    return new Set((JSON.parse(stdout.slice(stdout.indexOf("["))) as { name: string }[]).map((secret) => secret.name));
  } catch {
    throw new Trouble(`the list of secrets cannot be read: ${stdout}`);
  }
}

function askHost(baseUrl: string, apiKey: string): Promise<KeyAnswer> {
  const settings = { fetch: (url: string, init: RequestInit) => fetch(url, init), baseUrl, apiKey, now: Date.now };
  return askAboutKey(settings, AbortSignal.timeout(KEY_CHECK_WITHIN_MS));
}

/** Tries the key before anything is made. When the host cannot be reached, the doctor checks the key later. */
async function checkKey({ region, baseUrl }: Settings, apiKey: string): Promise<void> {
  const answer = await askHost(baseUrl ?? REGION_HOSTS[region], apiKey);
  if (answer.kind !== "answered" || answer.accepted === null) {
    console.log("   the key could not be tried from here; the doctor tries it later");
    return;
  }
  if (answer.accepted) return;
  const others = baseUrl === null ? (Object.keys(REGION_HOSTS) as Region[]).filter((other) => other !== region) : [];
  for (const other of others) {
    const home = await askHost(REGION_HOSTS[other], apiKey);
    if (home.kind !== "answered" || home.accepted !== true) continue;
    throw new Trouble(`the key is one of ${REGION_NAMES[other]}: run again with  --region ${other}`);
  }
  throw new Trouble(
    `${baseUrl ?? REGION_NAMES[region]} refuses the key (${answer.code ?? answer.httpStatus}). A key works only in the region it was made in: make one in the Model Studio console of ${REGION_NAMES[region]}.`,
  );
}

async function makeBucket(bucket: string): Promise<"made" | "exists"> {
  if ((await wrangler(["r2", "bucket", "info", bucket])).ok) return "exists";
  const made = await wrangler(["r2", "bucket", "create", bucket]);
  if (made.ok) return "made";
  if (/already exists|code: 10004\b/.test(made.text)) return "exists";
  const hint = /code: 10042\b|enable R2/i.test(made.text)
    ? " R2 has to be switched on once in Cloudflare's dashboard."
    : "";
  throw new Trouble(`the bucket ${bucket} could not be made: ${made.text}${hint}`);
}

function buildPage(): void {
  if (process.env.SKIP_BUILD === "1") return;
  const args = ["node_modules/vite/bin/vite.js", "build", "--config", "web/vite.config.ts", "--logLevel", "warn"];
  if (spawnSync(process.execPath, args, { stdio: "inherit" }).status !== 0)
    throw new Trouble("the page could not be built; see above");
}

/** The address that a deploy prints on its own line; null when it prints none. */
function addressIn(text: string): string | null {
  return [...text.matchAll(/^\s+(https?:\/\/\S+)\s*$/gm)].at(-1)?.[1] ?? null;
}

const newToken = () => `dr_${randomBytes(32).toString("base64url")}`;
const hashOf = (token: string) => createHash("sha256").update(token).digest("hex");

interface Tokens {
  readonly client: string | null;
  readonly operator: string | null;
}

function newTokens(existing: ReadonlySet<string>): Tokens {
  return {
    client: existing.has("CLIENT_TOKENS") ? null : newToken(),
    operator: existing.has("ADMIN_TOKEN_SHA256") ? null : newToken(),
  };
}

/** Stores the missing secrets. After a failure they may be stored nevertheless, because wrangler's answer can be lost. */
async function putSecrets(
  name: string,
  client: string,
  apiKey: string | null,
  tokens: Tokens,
  existing: ReadonlySet<string>,
): Promise<void> {
  const missing = {
    ...(apiKey === null ? {} : { QWEN_API_KEY: apiKey }),
    ...(existing.has("SIGNING_SECRET") ? {} : { SIGNING_SECRET: randomBytes(32).toString("base64") }),
    ...(tokens.client === null ? {} : { CLIENT_TOKENS: JSON.stringify({ [client]: hashOf(tokens.client) }) }),
    ...(tokens.operator === null ? {} : { ADMIN_TOKEN_SHA256: hashOf(tokens.operator) }),
  };
  if (Object.keys(missing).length === 0) return;
  const args = ["secret", "bulk", "--name", name];
  const { ok, text } = await wrangler(args, JSON.stringify(missing));
  if (ok) return;
  const isNew = tokens.client !== null || tokens.operator !== null;
  const hint = isNew
    ? "\nThe tokens above may have been stored all the same: keep them. The next run prints new ones if they were not."
    : "";
  throw new Trouble(`putting the secrets failed (wrangler ${args.join(" ")}): ${text}${hint}`);
}

/** Waits until the service answers and has its settings. */
async function awaitUp(url: string): Promise<void> {
  const endsAtMs = Date.now() + UP_WITHIN_MS;
  let last = "";
  while (Date.now() < endsAtMs) {
    try {
      const response = await fetch(new URL(paths.health, url), { signal: AbortSignal.timeout(10_000) });
      const health = (await response.json()) as { status?: unknown };
      if (health.status === "ok" || health.status === "degraded") return;
      last = `it is ${String(health.status)}`;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await pause(1_000);
  }
  throw new Trouble(`${url} is not up after ${UP_WITHIN_MS / 1000} s: ${last}. Ask  npm run doctor -- ${url}`);
}

function callDoctor(url: string, operatorToken: string): boolean {
  const doctor = fileURLToPath(new URL("doctor.ts", import.meta.url));
  const env = { ...process.env, DARKROOM_TOKEN: operatorToken };
  return spawnSync(process.execPath, [doctor, url], { stdio: "inherit", env }).status === 0;
}

function printTokens({ client, operator }: Tokens, clientName: string): void {
  if (client !== null || operator !== null) {
    console.log("\nKeep these in a password manager. They are shown this once: the Worker has their hashes only.\n");
    if (client !== null) console.log(`  token of ${clientName}:  ${client}`);
    if (operator !== null) console.log(`  operator's token:  ${operator}`);
    console.log("");
  }
  if (client === null)
    console.log("   CLIENT_TOKENS was there already and is as it was; npm run token -- NAME makes another token");
  if (operator === null)
    console.log("   ADMIN_TOKEN_SHA256 was there already; npm run token -- admin makes another operator's token");
}

let step = 0;
function begin(what: string): void {
  step += 1;
  console.log(`${step}. ${what}`);
}

async function settingsFrom(
  values: { name?: string | undefined; region?: string | undefined; "base-url"?: string | undefined },
  silent: boolean,
): Promise<Settings> {
  const toml = readFileSync(CONFIG_FILE, "utf8");
  const name = await chosen(values.name, "Name of the Worker", settingIn(toml, "name") ?? "darkroom", silent);
  if (!/^[a-z0-9][a-z0-9-]{0,53}$/.test(name)) {
    throw new Trouble(
      `${name} is not a valid name for a Worker and its bucket: small letters, digits and dashes, 54 at most.`,
    );
  }
  const known = Object.keys(REGION_HOSTS) as Region[];
  const region = await chosen(
    values.region,
    `Region of the key (${known.join(", ")})`,
    settingIn(toml, "QWEN_REGION") ?? "sg",
    silent,
  );
  const found = known.find((candidate) => candidate === region);
  if (found === undefined) throw new Trouble(`${region} is no region: ${known.join(", ")}.`);
  return { name, region: found, baseUrl: values["base-url"] ?? settingIn(toml, "QWEN_BASE_URL") };
}

async function keyFor(existing: ReadonlySet<string>, silent: boolean): Promise<string | null> {
  const given = process.env.QWEN_API_KEY?.trim() ?? "";
  if (existing.has("QWEN_API_KEY")) {
    if (given !== "")
      console.log("   QWEN_API_KEY was put before and is as it was; npx wrangler secret put QWEN_API_KEY changes it");
    return null;
  }
  if (given !== "") return given;
  if (silent || !process.stdin.isTTY) throw new Trouble("there is no key: set QWEN_API_KEY in the environment.");
  const typed = await asked("DashScope key (not shown): ", true);
  if (typed === "") throw new Trouble("there is no key: make one in the Model Studio console.");
  return typed;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      name: { type: "string" },
      region: { type: "string" },
      "base-url": { type: "string" },
      client: { type: "string", default: "my-app" },
      yes: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(values.client)) {
    throw new Trouble(`${values.client} is no client's name: 1 to 64 letters, digits, dots, dashes or underscores.`);
  }
  const silent = values.yes || !process.stdin.isTTY;
  const settings = await settingsFrom(values, silent);
  const { name } = settings;

  begin("Signed in to Cloudflare?");
  await signedIn();
  const existing = await secretsOf(name);

  begin(`The DashScope key, for ${REGION_NAMES[settings.region]}`);
  const apiKey = await keyFor(existing, silent);
  if (apiKey !== null) await checkKey(settings, apiKey);

  begin(`${CONFIG_FILE}: name ${name}, bucket ${name}-results, region ${settings.region}`);
  const toml = readFileSync(CONFIG_FILE, "utf8");
  const changed = withSettings(toml, settings);
  if (changed !== toml) writeFileSync(CONFIG_FILE, changed);

  begin(`The bucket ${name}-results`);
  console.log(`   ${await makeBucket(`${name}-results`)}`);

  begin("The page and the Worker");
  buildPage();
  const url = addressIn((await mustDo("the deploy", ["deploy"], null, true)).stdout);

  begin("The secrets");
  const tokens = newTokens(existing);
  // Printed before they are stored: a run that dies in between would leave a Worker whose tokens nobody has.
  printTokens(tokens, values.client);
  await putSecrets(name, values.client, apiKey, tokens, existing);

  begin("The doctor");
  if (url === null) {
    console.log("   the deploy printed no address; ask it by hand: npm run doctor -- https://YOUR-HOST");
    return;
  }
  await awaitUp(url);
  const operator = tokens.operator ?? process.env.DARKROOM_TOKEN ?? null;
  if (operator === null) console.log(`   DARKROOM_TOKEN=THE-OPERATORS-TOKEN npm run doctor -- ${url}`);
  else if (!callDoctor(url, operator)) throw new Trouble("it runs, and the doctor found what is written above.");
  console.log(`\nDarkroom is at ${url}: the page, and the API (${url}${paths.docs}). Try it:\n`);
  console.log(`  curl -sS ${url}${paths.workflow("image-from-text")} -H "Authorization: Bearer $DARKROOM_TOKEN" \\`);
  console.log(
    `    -H 'content-type: application/json' -H 'Prefer: wait=60' -d '{"prompt": "a red bicycle in the rain"}'\n`,
  );
}

try {
  await main();
} catch (error) {
  const isUsage = error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
  if (!isUsage && !(error instanceof Trouble)) throw error;
  console.error(isUsage ? `${(error as Error).message}\n\n${USAGE}` : `\n${(error as Error).message}`);
  if (!isUsage && step > 0)
    console.error("\nWhat was done stays. Fix it and run  npm run launch  again: it continues from there.");
  process.exitCode = isUsage ? 2 : 1;
}
