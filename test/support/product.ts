import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { SettingsPatch } from "../../emulator/core/settings.ts";
import { type EmulatorControl, emulatorControl } from "./control.ts";
import { freePort } from "./free-port.ts";
import { type ProcessGroup, startGroup } from "./process-group.ts";
import { until } from "./until.ts";
import type { WorkerProcessSettings } from "./worker-process.ts";

/** The emulator's settings unless a test gives others: quick, without a quota, with images that cost nothing to make. */
export const QUICK_EMULATOR: SettingsPatch = { latencyMs: 50, latencySpread: 0, quota: "off", images: "small-file" };

const WIDE_OPEN = { starts: 1000, periodMs: 1000, inProgress: null };
/** Lanes that never make a job wait, for the models that tests use. */
export const OPEN_LANES = JSON.stringify(
  Object.fromEntries(
    ["qwen-image-max", "qwen-image-edit-max", "qwen-image-plus", "qwen-image", "wan2.6-t2i"].map((model) => [
      model,
      WIDE_OPEN,
    ]),
  ),
);

export interface ProductOptions {
  /** The Worker's variables, over `AUTH_MODE=open`, `LANE_LIMITS` wide open and the emulator's address and a key. */
  readonly env?: Readonly<Record<string, string>>;
  /** Settings over `QUICK_EMULATOR`; false: no emulator (then `env` has `QWEN_BASE_URL` and `QWEN_API_KEY`). */
  readonly emulator?: SettingsPatch | false;
  /** Where everything is stored; left out: a new folder that `stop` removes. */
  readonly stateDir?: string;
  /** The Worker's port; left out: a free one. */
  readonly port?: number;
  /** Gets all output of the Worker, over every restart. */
  readonly onWorkerOutput?: (text: string) => void;
}

/** What can be killed: the emulator with its journal, the Worker with workerd, or both at once. */
export type Part = "emulator" | "worker" | "all";

export interface Product {
  /** `http://localhost:PORT`, the same after each restart. */
  readonly baseUrl: string;
  /** Throws on use when there is no emulator. */
  readonly emulator: EmulatorControl;
  readonly stateDir: string;
  /** The id of the Worker's process group, by which its memory can be read. Changes with a restart. */
  workerPid(): number;
  /** The output of the Worker and the emulator since their last start. */
  log(): string;
  /** Kills whole process groups, by SIGKILL unless another signal is given. Resolves once they have ended. The state stays. */
  kill(part?: Part, signal?: NodeJS.Signals): Promise<void>;
  /** Starts the parts that do not run, on the same ports and state; `env` is added to the earlier variables. */
  restart(env?: Readonly<Record<string, string>>): Promise<void>;
  /** Ends everything and removes the state if it was made for this product. */
  stop(): Promise<void>;
}

/**
 * The Worker serves the page from `dist/web`, which must exist. It is never built again during a test: wrangler would restart
 * the Worker, and the page would be missing for a short time.
 */
export function buildPageOnce(): void {
  if (existsSync("dist/web/index.html")) return;
  const args = ["node_modules/vite/bin/vite.js", "build", "--config", "web/vite.config.ts", "--logLevel", "warn"];
  // Vitest sets NODE_ENV to "test", with which React's development build would be bundled.
  const env = { ...process.env, NODE_ENV: "production" };
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
  if (status !== 0) throw new Error(`the page could not be built:\n${stderr}`);
}

const CONFIG = "wrangler.toml";
/** Inside the project, because wrangler looks for its settings from here upwards. */
const BUNDLES = ".artifacts/worker-bundles";
/** Written into the bundle's folder: what `CONFIG` declares, so that no product has to load wrangler for it. */
const DECLARED = "declared.json";

/**
 * Bundles the Worker as a deployment does, for every product that this process and its children start. So they start
 * sooner, and no change of a source restarts one. Returns what removes the bundle. `npm start` makes its own bundle.
 */
export async function bundleWorker(): Promise<() => void> {
  mkdirSync(BUNDLES, { recursive: true });
  const folder = resolve(mkdtempSync(join(BUNDLES, "bundle-")));
  const args = ["node_modules/wrangler/bin/wrangler.js", "deploy", "--dry-run", "--outdir", folder];
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false" };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
  if (status !== 0) throw new Error(`the Worker could not be bundled:\n${stdout}${stderr}`);
  const { unstable_getMiniflareWorkerOptions, unstable_readConfig } = await import("wrangler");
  const { workerOptions } = unstable_getMiniflareWorkerOptions(CONFIG);
  // The options have the variables of a developer's `.dev.vars` too: a test must never use someone's key.
  const { name, vars } = unstable_readConfig({ config: CONFIG });
  const declared = { ...workerOptions, name, bindings: vars };
  writeFileSync(join(folder, DECLARED), JSON.stringify(declared));
  process.env.WORKER_BUNDLE = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}

/** On two busy cores a start can take many times its usual three seconds. */
const UP_WITHIN_MS = 120_000;

async function answers(what: string, url: string, group: ProcessGroup): Promise<void> {
  const looked = until(
    what,
    async () => {
      const how = group.ended();
      if (how !== null) throw new Error(`${what} ended: ${how}`);
      try {
        await (await fetch(url, { signal: AbortSignal.timeout(5_000) })).body?.cancel();
        return true;
      } catch {
        return undefined;
      }
    },
    UP_WITHIN_MS,
  );
  await looked.catch((error: unknown) => {
    throw new Error(`${String(error)}\n${group.log()}`);
  });
}

/**
 * Starts the real product: the bundled Worker in workerd with its state on disk, and the emulator as its upstream. Resolves
 * when both answer; rejects with the end of their output when one dies.
 */
export async function startProduct(options: ProductOptions = {}): Promise<Product> {
  buildPageOnce();
  if (process.env.WORKER_BUNDLE === undefined) process.once("exit", await bundleWorker());
  const bundle = process.env.WORKER_BUNDLE ?? "";
  const declared = JSON.parse(readFileSync(join(bundle, DECLARED), "utf8")) as WorkerProcessSettings["options"];
  const ownState = options.stateDir === undefined;
  const stateDir = resolve(options.stateDir ?? mkdtempSync(join(tmpdir(), "darkroom-test-")));
  mkdirSync(stateDir, { recursive: true });
  const port = options.port ?? (await freePort());
  const emulatorPort = await freePort();
  const emulatorUrl = `http://127.0.0.1:${emulatorPort}`;
  const baseUrl = `http://localhost:${port}`;
  let vars: Record<string, string> = {
    AUTH_MODE: "open",
    LANE_LIMITS: OPEN_LANES,
    ...(options.emulator === false ? {} : { QWEN_BASE_URL: emulatorUrl, QWEN_API_KEY: "sk-emulator" }),
    ...options.env,
  };
  let emulator: ProcessGroup | null = null;
  let worker: ProcessGroup | null = null;

  async function startEmulator(): Promise<void> {
    if (options.emulator === false || emulator !== null) return;
    const settings = JSON.stringify({ ...QUICK_EMULATOR, ...options.emulator });
    const state = join(stateDir, "emulator");
    const args = ["emulator/main.ts", "--port", String(emulatorPort), "--state", state, "--settings", settings];
    emulator = startGroup(args, process.env);
    await answers("the emulator", `${emulatorUrl}/__emulator/`, emulator);
  }

  async function startWorker(): Promise<void> {
    if (worker !== null) return;
    // In a file that only we can read, because everyone on the machine can read a command line.
    const file = join(stateDir, "worker-settings.json");
    const settings: WorkerProcessSettings = {
      bundle,
      options: declared,
      vars,
      port,
      stateDir,
      isVerbose: options.onWorkerOutput !== undefined,
    };
    writeFileSync(file, JSON.stringify(settings), { mode: 0o600 });
    worker = startGroup(["test/support/worker-process.ts", file], process.env, undefined, options.onWorkerOutput);
    await answers("the Worker", `${baseUrl}/api/health`, worker);
  }

  async function kill(part: Part, signal: NodeJS.Signals): Promise<void> {
    const groups = [part === "emulator" ? null : worker, part === "worker" ? null : emulator];
    if (part !== "emulator") worker = null;
    if (part !== "worker") emulator = null;
    await Promise.all(groups.map((group) => group?.kill(signal)));
  }

  async function startBoth(): Promise<void> {
    try {
      await Promise.all([startEmulator(), startWorker()]);
    } catch (error) {
      await kill("all", "SIGKILL");
      throw error;
    }
  }

  await startBoth();
  return {
    baseUrl,
    stateDir,
    get emulator() {
      if (options.emulator === false) throw new Error("this product was started without the emulator");
      return emulatorControl(emulatorUrl);
    },
    workerPid() {
      if (worker === null) throw new Error("the Worker does not run");
      return worker.pid;
    },
    log: () => `${worker?.log() ?? ""}${emulator?.log() ?? ""}`,
    kill: (part = "all", signal = "SIGKILL") => kill(part, signal),
    async restart(env = {}) {
      vars = { ...vars, ...env };
      await startBoth();
    },
    async stop() {
      // The state must survive a kill anyway, so there is no reason to wait for a clean end.
      await kill("all", "SIGKILL");
      if (ownState) rmSync(stateDir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
