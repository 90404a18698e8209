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
  --max-sizes SIZES    of max and plus: five (default), or any sides from 512 to 1664 or 2048
  --headerless-401     a 401 has no Content-Type, as recorded in 2024
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

/** Reads the text of a flag. Throws a sentence for people when it cannot be read. */
type Read = (name: string, text: string) => unknown;

const text: Read = (_name, given) => given;

const duration: Read = (name, given) => {
  const ms = parseDurationMs(given);
  if (ms === null) throw new Error(`--${name} must be a time like 300, 1.5s or 2m, got "${given}"`);
  return ms;
};

function numberOf(name: string, given: string): number {
  const value = Number(given);
  if (given.trim() === "" || !Number.isFinite(value)) throw new Error(`--${name} must be a number, got "${given}"`);
  return value;
}

const json: Read = (name, given) => {
  try {
    return JSON.parse(given);
  } catch {
    throw new Error(`--${name} must be JSON, got "${given}"`);
  }
};

/** Flags that set a setting, and how their text is read. */
const SETTING_FLAGS: readonly (readonly [flag: string, setting: keyof Settings, read: Read])[] = [
  ["latency", "latencyMs", duration],
  ["spread", "latencySpread", numberOf],
  ["gateway-timeout", "gatewayTimeoutMs", duration],
  ["quota", "quota", text],
  ["quota-scale", "quotaScale", numberOf],
  ["quotas", "quotas", json],
  ["task-overflow", "taskOverflow", text],
  ["max-sizes", "maxSizes", text],
  ["region-keys", "regionKeys", json],
  ["expiry", "linkExpiryMs", duration],
  ["images", "images", text],
  ["image-bytes", "imageBytes", numberOf],
  ["seed", "seed", numberOf],
];

const OPTIONS: Readonly<
  Record<string, { type: "string" | "boolean"; multiple?: boolean; short?: string; default?: string }>
> = {
  port: { type: "string", default: "0" },
  host: { type: "string", default: "127.0.0.1" },
  settings: { type: "string" },
  state: { type: "string" },
  "count-refused": { type: "boolean" },
  "headerless-401": { type: "boolean" },
  "api-key": { type: "string", multiple: true },
  fault: { type: "string", multiple: true },
  help: { type: "boolean", short: "h" },
  ...Object.fromEntries(SETTING_FLAGS.map(([flag]) => [flag, { type: "string" as const }])),
};

function textsOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((entry) => typeof entry === "string");
}

/** The settings that the flags give, merged over those of `--settings`. */
function settingsOf(values: Readonly<Record<string, unknown>>): Partial<Settings> {
  const given: Record<string, unknown> = {};
  const [many] = textsOf(values.settings);
  if (many !== undefined) {
    const parsed = SettingsPatch.safeParse(json("settings", many));
    if (!parsed.success) throw new Error(`--settings: ${z.prettifyError(parsed.error)}`);
    Object.assign(given, parsed.data);
  }
  for (const [flag, setting, read] of SETTING_FLAGS) {
    const [value] = textsOf(values[flag]);
    if (value !== undefined) given[setting] = read(flag, value);
  }
  if (values["count-refused"] === true) given.countRefused = true;
  if (values["headerless-401"] === true) given.headerless401 = true;
  if (values["api-key"] !== undefined) given.apiKeys = textsOf(values["api-key"]);
  const settings = SettingsPatch.safeParse(given);
  if (!settings.success) throw new Error(z.prettifyError(settings.error));
  const unknown = unknownQuotaModels(settings.data);
  if (unknown.length > 0) throw new Error(`--quotas: no such model: ${unknown.join(", ")}`);
  // Only given keys are present.
  return settings.data as Partial<Settings>;
}

function ruleOf(given: string): FaultRule {
  const rule = parseFaultOption(given);
  if ("error" in rule) throw new Error(`--fault: ${rule.error}`);
  return rule;
}

/** Reads the arguments after the program's name. */
export function parseCommandLine(args: readonly string[]): ParsedCommandLine {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS, strict: true });
    if (values.help === true) return { kind: "help", text: HELP };
    const [portText = ""] = textsOf(values.port);
    const port = numberOf("port", portText);
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw new Error(`--port must be from 0 to 65535, got ${portText}`);
    }
    const [host = ""] = textsOf(values.host);
    const [stateFolder = null] = textsOf(values.state);
    const rules = textsOf(values.fault).map(ruleOf);
    return { kind: "run", options: { settings: settingsOf(values), rules, stateFolder, host, port } };
  } catch (error) {
    return { kind: "wrong", message: error instanceof Error ? error.message : String(error) };
  }
}
