import { existsSync, readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { VARIABLES } from "../../worker/env.ts";

export interface Settings {
  readonly port: number;
  /** Used only with the emulator. */
  readonly emulatorPort: number;
  readonly stateDir: string;
  readonly workerLog: string;
  /** The Worker's variables by name, without empty values. */
  readonly vars: Readonly<Record<string, string>>;
  readonly usesEmulator: boolean;
}

/** `wrangler dev` does not report a client that hangs up before its answer began. */
const HIDDEN_HANG_UP_SECONDS = "10";

/** Wrangler's log levels. */
const LOG_LEVELS = ["none", "error", "warn", "info", "log", "debug"];

function portOf(name: string, text: string | undefined, byDefault: number): number {
  if (text === undefined || text === "") return byDefault;
  // The highest port leaves none for the emulator beside it.
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_534) return port;
  throw new Error(`${name} must be a whole number from 1 to 65534; got ${JSON.stringify(text)}`);
}

function logLevelOf(text: string | undefined): string {
  if (text === undefined || text === "") return "warn";
  if (LOG_LEVELS.includes(text)) return text;
  throw new Error(`WORKER_LOG must be one of ${LOG_LEVELS.join(", ")}; got ${JSON.stringify(text)}`);
}

/** The settings from the environment, else from `.dev.vars`. Throws with a sentence for people. */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const port = portOf("PORT", environment.PORT, 8787);
  const emulatorPort = portOf("EMULATOR_PORT", environment.EMULATOR_PORT, port + 1);
  const file = existsSync(".dev.vars") ? parseEnv(readFileSync(".dev.vars", "utf8")) : {};
  const vars: Record<string, string> = {};
  for (const name of VARIABLES) {
    const value = environment[name] ?? file[name];
    if (value !== undefined && value !== "") vars[name] = value;
  }
  vars.AUTH_MODE ??= "open";
  vars.HIDDEN_HANG_UP_SECONDS ??= HIDDEN_HANG_UP_SECONDS;
  const usesEmulator = vars.QWEN_API_KEY === undefined;
  if (usesEmulator && emulatorPort === port) {
    throw new Error(`PORT and EMULATOR_PORT are both ${port}; the Worker and the emulator need one each`);
  }
  const { STATE_DIR: stateDir = "" } = environment;
  return {
    port,
    emulatorPort,
    stateDir: stateDir === "" ? ".wrangler/state" : stateDir,
    workerLog: logLevelOf(environment.WORKER_LOG),
    vars,
    usesEmulator,
  };
}
