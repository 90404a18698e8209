import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { buildWorker } from "./build.ts";
import type { RunningEmulator } from "./emulator.ts";
import { type Side, startSide } from "./side.ts";

/** The token of the load's client: token mode, because production uses it. */
export const TOKEN = "dk_bench-0123456789abcdefghijklmnopqrstuvwxyz";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** More than any row submits, so that the limit has no effect. */
const NO_LIMIT_ON_PENDING = "1000000";

export interface StartOptions {
  readonly emulator: RunningEmulator;
  /** The Worker's own variables, beside those that every run needs. */
  readonly vars?: Readonly<Record<string, string>>;
  readonly inspectorPort?: number;
  /** The folder whose Worker is started; without it, this one. */
  readonly checkout?: string;
}

/** A `LANE_LIMITS` with which all jobs but the first wait throughout. */
export const NOTHING_STARTS = JSON.stringify({ "qwen-image-max": { starts: 1, periodMs: 86_400_000 } });

/** An upstream at whose address nobody listens, for rows in which nothing may start. */
export const NOWHERE: RunningEmulator = {
  url: "http://127.0.0.1:9",
  calls: async () => [],
  end: async () => {},
};

interface Recipe {
  readonly configPath: string;
  readonly main: string;
  readonly vars: (upstreamUrl: string) => Readonly<Record<string, string>>;
}

function darkroomVars(upstreamUrl: string): Record<string, string> {
  return {
    AUTH_MODE: "token",
    CLIENT_TOKENS: JSON.stringify({ bench: sha256(TOKEN) }),
    SIGNING_SECRET: "a secret of the bench, and of nothing else",
    MAX_PENDING_JOBS: NO_LIMIT_ON_PENDING,
    QWEN_REGION: "sg",
    QWEN_API_KEY: "sk-bench",
    QWEN_BASE_URL: upstreamUrl,
  };
}

const upstreamOnly = (upstreamUrl: string): Record<string, string> => ({
  QWEN_API_KEY: "sk-bench",
  QWEN_BASE_URL: upstreamUrl,
});

const RECIPES = {
  darkroom: { configPath: "wrangler.toml", main: "worker/index.ts", vars: darkroomVars },
  /** The product, with a counter around it. */
  counted: { configPath: "wrangler.toml", main: "bench/counted/worker.ts", vars: darkroomVars },
  /** The product's lane object, alone. */
  lane: { configPath: "wrangler.toml", main: "bench/lane-alone/worker.ts", vars: darkroomVars },
  floor: { configPath: "bench/floor/wrangler.toml", main: "bench/floor/worker.ts", vars: () => ({}) },
  workflow: { configPath: "bench/workflows/wrangler.toml", main: "bench/workflows/worker.ts", vars: upstreamOnly },
  /** The peer, with a counter around it. */
  "counted-workflow": {
    configPath: "bench/workflows/wrangler.toml",
    main: "bench/counted/workflow.ts",
    vars: upstreamOnly,
  },
} as const satisfies Record<string, Recipe>;

export type Contestant = keyof typeof RECIPES;

const built = new Map<string, string>();

/** Starts a contestant with empty storage; its bundle is built once in a run. */
export function start(name: Contestant, options: StartOptions): Promise<Side> {
  const { emulator, vars, inspectorPort, checkout = "." } = options;
  const recipe: Recipe = RECIPES[name];
  const of = `${name} of ${checkout}`;
  const bundlePath = built.get(of) ?? buildWorker(name, recipe.configPath, recipe.main, checkout);
  built.set(of, bundlePath);
  return startSide({
    configPath: resolve(checkout, recipe.configPath),
    bundlePath,
    vars: { ...recipe.vars(emulator.url), ...vars },
    inspectorPort: inspectorPort ?? null,
  });
}

const json = { "content-type": "application/json", accept: "application/json" };

/** Whether the contestant is the product itself, which alone requires a token. */
function isProduct(name: Contestant): boolean {
  return name === "darkroom" || name === "counted";
}

function headersOf(name: Contestant): Readonly<Record<string, string>> {
  return isProduct(name) ? { ...json, authorization: `Bearer ${TOKEN}` } : json;
}

/** The same request for each contestant; only path and token differ. */
export function submitRequest(name: Contestant, prompt = "a red bicycle in the rain") {
  const path = isProduct(name) ? "/api/workflows/image-from-text" : "/api/jobs";
  const body = JSON.stringify({ prompt, size: "1664*928" });
  return { method: "POST" as const, path, headers: headersOf(name), body };
}

export function readRequest(name: Contestant, id: string) {
  return { method: "GET" as const, path: `/api/jobs/${id}`, headers: headersOf(name) };
}

/** The first image of a job that has one. */
export function imageRequest(name: Contestant, id: string) {
  const image = isProduct(name) ? "images/0" : "image";
  return { method: "GET" as const, path: `/api/jobs/${id}/${image}`, headers: headersOf(name) };
}

/** Submits `count` jobs, a few at a time, and returns their ids. */
export async function submitJobs(name: Contestant, url: string, count: number, atOnce = 8): Promise<string[]> {
  const ids: string[] = [];
  let started = 0;
  const one = async (): Promise<void> => {
    while (started < count) {
      const { path, method, headers, body } = submitRequest(name, `job ${started++}`);
      const response = await fetch(`${url}${path}`, { method, headers, body });
      if (response.status !== 202) throw new Error(`a submit got ${response.status}: ${await response.text()}`);
      ids.push(((await response.json()) as { id: string }).id);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, one));
  return ids;
}
