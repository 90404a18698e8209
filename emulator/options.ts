/** The command line. Pure. */
import { parseArgs } from "node:util";
import { z } from "zod";
import type { FaultRule } from "./core/fault.ts";
import { FAULT_WORDS, parseDurationMs, parseFaultOption } from "./core/fault-words.ts";
import { type Settings, SettingsPatch, unknownQuotaModels } from "./core/settings.ts";

export interface CommandLine {
  readonly settings: Partial<Settings>;
  readonly rules: readonly FaultRule[];
  readonly stateFolder: string | null;
  readonly host: string;
  readonly port: number;
}

export type ParsedCommandLine =
  | { readonly kind: "run"; readonly options: CommandLine }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "wrong"; readonly message: string };

const HELP = `npm run emulator -- [options]

A DashScope of your own. Times take ms, s, m or h: 300, 1.5s, 2m.
  --port N             0: any free one (default 0)
  --host HOST          default 127.0.0.1
  --latency TIME       typical time of a generation (default 4s)
  --spread N           sigma of its logarithm; 0: always the same (default 0.35)
  --gateway-timeout T  upstream's own limit on a call (default 298s)
  --quota KIND         sliding (default), fixed or off
  --quota-scale N      multiplies every period: 0.1 makes a minute into six seconds
  --quotas JSON        by model: {"qwen-image-max":{"starts":10,"periodMs":60000,"inProgress":null}}
  --count-refused      refused calls count as starts
  --task-overflow HOW  queue (default): tasks above the limit are PENDING; refuse: 429
  --any-size           models of the five sizes take any from 512 to 2048 a side
  --api-key KEY        accepted key, may be repeated (default: every sk-...)
  --region-keys JSON   keys that only another region knows: {"bj":["sk-..."]}
  --expiry TIME        how long result links open (default as recorded: 7 days, or 1 day)
  --images MODE        drawn (default) or small-file
  --image-bytes N      pads every image file to this size
  --seed N             of latencies, throws and pictures (default 1)
  --settings JSON      any of these by the names of the control API; the flags above win
  --state FOLDER       keeps ledger, tasks, links and images there
  --fault "WORD [xN] [P%] [model=M] [path=P] [prompt=TEXT]"   may be repeated
                       words: ${FAULT_WORDS.join(", ")}
`;

const OPTIONS = {
  port: { type: "string", default: "0" },
  host: { type: "string", default: "127.0.0.1" },
  latency: { type: "string" },
  spread: { type: "string" },
  "gateway-timeout": { type: "string" },
  quota: { type: "string" },
  "quota-scale": { type: "string" },
  quotas: { type: "string" },
  "count-refused": { type: "boolean" },
  "task-overflow": { type: "string" },
  "any-size": { type: "boolean" },
  "api-key": { type: "string", multiple: true },
  "region-keys": { type: "string" },
  expiry: { type: "string" },
  images: { type: "string" },
  "image-bytes": { type: "string" },
  seed: { type: "string" },
  settings: { type: "string" },
  state: { type: "string" },
  fault: { type: "string", multiple: true },
  help: { type: "boolean", short: "h" },
} as const;

function durationOf(name: string, text: string): number {
  const ms = parseDurationMs(text);
  if (ms === null) throw new Error(`--${name} must be a time like 300, 1.5s or 2m, got "${text}"`);
  return ms;
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new Error(`--${name} must be a number, got "${text}"`);
  return value;
}

function jsonOf(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`--${name} must be JSON, got "${text}"`);
  }
}

/** Reads the arguments after the program's name. */
export function parseCommandLine(args: readonly string[]): ParsedCommandLine {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS, strict: true });
    if (values.help) return { kind: "help", text: HELP };
    const given: Record<string, unknown> = {};
    if (values.settings !== undefined) {
      const many = SettingsPatch.safeParse(jsonOf("settings", values.settings));
      if (!many.success) return { kind: "wrong", message: `--settings: ${z.prettifyError(many.error)}` };
      Object.assign(given, many.data);
    }
    const set = (name: string, value: unknown): void => {
      if (value !== undefined) given[name] = value;
    };
    const when = <Value>(text: string | undefined, read: (text: string) => Value): Value | undefined =>
      text === undefined ? undefined : read(text);
    set(
      "latencyMs",
      when(values.latency, (text) => durationOf("latency", text)),
    );
    set(
      "latencySpread",
      when(values.spread, (text) => numberOf("spread", text)),
    );
    set(
      "gatewayTimeoutMs",
      when(values["gateway-timeout"], (text) => durationOf("gateway-timeout", text)),
    );
    set("quota", values.quota);
    set(
      "quotaScale",
      when(values["quota-scale"], (text) => numberOf("quota-scale", text)),
    );
    set(
      "quotas",
      when(values.quotas, (text) => jsonOf("quotas", text)),
    );
    set("countRefused", values["count-refused"]);
    set("taskOverflow", values["task-overflow"]);
    set("anySize", values["any-size"]);
    set("apiKeys", values["api-key"]);
    set(
      "regionKeys",
      when(values["region-keys"], (text) => jsonOf("region-keys", text)),
    );
    set(
      "linkExpiryMs",
      when(values.expiry, (text) => durationOf("expiry", text)),
    );
    set("images", values.images);
    set(
      "imageBytes",
      when(values["image-bytes"], (text) => numberOf("image-bytes", text)),
    );
    set(
      "seed",
      when(values.seed, (text) => numberOf("seed", text)),
    );
    const settings = SettingsPatch.safeParse(given);
    if (!settings.success) return { kind: "wrong", message: z.prettifyError(settings.error) };
    const unknown = unknownQuotaModels(settings.data);
    if (unknown.length > 0) return { kind: "wrong", message: `--quotas: no such model: ${unknown.join(", ")}` };
    const rules: FaultRule[] = [];
    for (const text of values.fault ?? []) {
      const rule = parseFaultOption(text);
      if ("error" in rule) return { kind: "wrong", message: `--fault: ${rule.error}` };
      rules.push(rule);
    }
    const port = numberOf("port", values.port);
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      return { kind: "wrong", message: `--port must be from 0 to 65535, got ${values.port}` };
    }
    // Only keys that were given are there.
    const found = settings.data as Partial<Settings>;
    return {
      kind: "run",
      options: { settings: found, rules, stateFolder: values.state ?? null, host: values.host, port },
    };
  } catch (error) {
    return { kind: "wrong", message: error instanceof Error ? error.message : String(error) };
  }
}
