import { existsSync, readFileSync } from "node:fs";
import { parseEnv } from "node:util";

/** Every variable of the Worker: the names in `.dev.vars.example`. */
function variableNames(): string[] {
  return [...readFileSync(".dev.vars.example", "utf8").matchAll(/^([A-Z0-9_]+)=/gm)].map(([, name]) => name ?? "");
}

export interface Settings {
  readonly port: number;
  readonly stateDir: string;
  /** What the Worker gets, by name; empty values left out. */
  readonly vars: Readonly<Record<string, string>>;
  readonly usesEmulator: boolean;
}

/** What `.dev.vars` and, before it, the environment ask for. Throws with a sentence for people. */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const port = Number(environment.PORT ?? "8787");
  if (!Number.isInteger(port) || port < 1 || port > 65_534) {
    throw new Error(`PORT must be a whole number from 1 to 65534, got ${environment.PORT}`);
  }
  const file = existsSync(".dev.vars") ? parseEnv(readFileSync(".dev.vars", "utf8")) : {};
  const vars: Record<string, string> = {};
  for (const name of variableNames()) {
    const value = environment[name] ?? file[name];
    if (value !== undefined && value !== "") vars[name] = value;
  }
  vars.AUTH_MODE ??= "open";
  return {
    port,
    stateDir: environment.STATE_DIR ?? ".wrangler/state",
    vars,
    usesEmulator: vars.QWEN_API_KEY === undefined,
  };
}
