/** `npm start`: builds the page, starts the Worker, and without a key also the emulator. Ctrl-C ends everything; stored state is kept. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Children } from "./start/children.ts";
import { readSettings, type Settings } from "./start/settings.ts";
import { makeStateFolder } from "./start/state-folder.ts";

/** Without a network wrangler prints at each start that it invented `request.cf`, which nothing here reads. */
const OFFLINE_NOISE = /Unable to fetch the `Request\.cf` object|workers\.cloudflare\.com|GetAddrInfoReqWrap/;

/** A first start builds and unpacks a lot, which takes long on a small machine. */
const UP_WITHIN_MS = 120_000;

/** How often to check that npm, which started this, still runs. */
const STARTER_LOOK_MS = 500;

async function portIsFree(port: number): Promise<boolean> {
  for (const host of ["127.0.0.1", "::1"]) {
    const free = await new Promise<boolean>((done) => {
      const server = createServer();
      server.once("error", (error: NodeJS.ErrnoException) => done(error.code !== "EADDRINUSE"));
      server.listen({ port, host }, () => server.close(() => done(true)));
    });
    if (!free) return false;
  }
  return true;
}

/** The part of health that is read here. */
interface Health {
  readonly status: string;
  readonly problems?: readonly { readonly path: string; readonly message: string }[];
  readonly upstream: { readonly region: string | null; readonly host: string | null };
}

/** Resolves once the Worker answers. A misconfigured one answers too, and says what is wrong. */
async function health(baseUrl: string): Promise<Health> {
  const endsAtMs = Date.now() + UP_WITHIN_MS;
  for (;;) {
    try {
      const response = await fetch(`${baseUrl}/api/health`, { signal: AbortSignal.timeout(5_000) });
      return (await response.json()) as Health;
    } catch (error) {
      if (Date.now() > endsAtMs)
        throw new Error(`the Worker did not answer within ${UP_WITHIN_MS / 1000} s: ${String(error)}`);
      await pause(100);
    }
  }
}

const children = new Children();

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const { port, emulatorPort, stateDir } = settings;
  if (!(await portIsFree(port))) throw new Error(`port ${port} is in use; take another: PORT=8790 npm start`);
  if (settings.usesEmulator && !(await portIsFree(emulatorPort))) {
    throw new Error(`port ${emulatorPort}, for the emulator, is in use; take another: EMULATOR_PORT=9100 npm start`);
  }
  makeStateFolder(stateDir);
  if (process.env.SKIP_BUILD !== "1") {
    const build = spawnSync(
      process.execPath,
      ["node_modules/vite/bin/vite.js", "build", "--config", "web/vite.config.ts", "--logLevel", "warn"],
      { stdio: "inherit" },
    );
    if (build.status !== 0) throw new Error("the page could not be built; see above");
  }
  const secrets = mkdtempSync(join(tmpdir(), "darkroom-"));
  children.removeAtEnd(secrets);
  let ending = false;
  const end = () => {
    if (ending) return;
    ending = true;
    void children.endAll().then(() => process.exit(0));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  // npm sends its signals to a shell, which ends without passing them on.
  const { ppid: starter } = process;
  const isByNpm = process.env.npm_lifecycle_event === "start";
  if (isByNpm) setInterval(() => process.ppid !== starter && end(), STARTER_LOOK_MS).unref();

  const vars: Record<string, string> = { ...settings.vars };
  if (settings.usesEmulator) {
    const state = resolve(stateDir, "emulator");
    const extra = (process.env.EMULATOR_ARGS ?? "").split(" ").filter((arg) => arg !== "");
    const up = Promise.withResolvers<string>();
    children.start(
      "the emulator",
      ["emulator/main.ts", "--port", String(emulatorPort), "--state", state, ...extra],
      process.env,
      (line) => {
        const address = /emulator listening on (http:\S+)/.exec(line)?.[1];
        if (address === undefined) console.log(`emulator: ${line.replace(/^emulator: /, "")}`);
        else up.resolve(address);
      },
    );
    vars.QWEN_BASE_URL = await up.promise;
    vars.QWEN_API_KEY = "sk-emulator";
  }

  // In a file that only we can read, because everyone on the machine can read a command line.
  const envFile = join(secrets, "vars");
  const lines = Object.entries(vars).map(([name, value]) => `${name}=${quoted(value)}`);
  writeFileSync(envFile, `${lines.join("\n")}\n`, { mode: 0o600 });
  const wrangler = [
    "node_modules/wrangler/bin/wrangler.js",
    "dev",
    "--port",
    String(port),
    "--ip",
    "localhost",
    "--inspector-port",
    "0",
  ];
  const flags = [
    "--persist-to",
    stateDir,
    "--env-file",
    envFile,
    "--log-level",
    settings.workerLog,
    "--show-interactive-dev-session=false",
  ];
  const env = {
    ...process.env,
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_HIDE_BANNER: "true",
    // Wrangler's own trace store writes the address of every request, including the secrets of links, into the state folder.
    X_LOCAL_OBSERVABILITY: "false",
    NO_COLOR: "1",
    CI: "1",
  };
  children.start("the Worker", [...wrangler, ...flags], env, (line) => {
    if (line.trim() !== "" && !OFFLINE_NOISE.test(line)) console.log(`worker: ${line}`);
  });

  const baseUrl = `http://localhost:${port}`;
  const { status, problems, upstream } = await health(baseUrl);
  if (status === "misconfigured") {
    console.error(`\nDarkroom is up at ${baseUrl}, but misconfigured:`);
    for (const { path, message } of problems ?? []) console.error(`  ${path} ${message}`);
    return;
  }
  const auth = vars.AUTH_MODE === "open" ? "" : ` -H "Authorization: Bearer $DARKROOM_TOKEN"`;
  console.log(`
Darkroom is up, with ${upstreamText(settings, upstream)} as upstream.

  page   ${baseUrl}
  curl   curl -sS ${baseUrl}/api/workflows/image-from-text${auth} -H 'content-type: application/json' -H 'Prefer: wait=60' -d '{"prompt": "a red bicycle in the rain"}'

State is in ${stateDir}. Ctrl-C ends everything.`);
}

/** Names the upstream for people. */
function upstreamText({ usesEmulator, vars }: Settings, { region, host }: Health["upstream"]): string {
  if (!usesEmulator) return vars.QWEN_BASE_URL === undefined ? `DashScope in region ${region} (${host})` : `${host}`;
  const unused = vars.QWEN_BASE_URL === undefined ? "" : ", so QWEN_BASE_URL is not used";
  return `the emulator at http://${host} (no QWEN_API_KEY is set${unused})`;
}

/** Quoted so that dotenv reads the value back: single quotes keep everything but themselves, so a value with one gets others. */
function quoted(value: string): string {
  if (!value.includes("'")) return `'${value}'`;
  if (!value.includes("`")) return `\`${value}\``;
  return JSON.stringify(value);
}

main().catch(async (error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  await children.endAll();
  process.exit(1);
});
