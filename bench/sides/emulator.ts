import { endChild, startChild } from "./child.ts";

/** The part of the emulator's ledger that is read here. */
export interface LedgerCall {
  readonly atMs: number;
  readonly kind: string;
  readonly prompt: string | null;
  readonly end: { readonly endedAtMs: number; readonly status: number | null } | null;
}

/** DashScope on this machine, in a process of its own. */
export interface RunningEmulator {
  readonly url: string;
  calls(): Promise<readonly LedgerCall[]>;
  end(): Promise<void>;
}

/** `args` as `npm run emulator -- --help` lists them. */
export async function startEmulator(args: readonly string[]): Promise<RunningEmulator> {
  const { child, answer } = await startChild(
    "emulator/main.ts",
    ["--port", "0", ...args],
    (line) => /http:\/\/[\w.:]+/.exec(line)?.[0] ?? null,
  );
  return {
    url: answer,
    calls: async () => {
      const response = await fetch(`${answer}/__emulator/ledger`);
      const { calls } = (await response.json()) as { calls: LedgerCall[] };
      return calls;
    },
    end: () => endChild(child),
  };
}
