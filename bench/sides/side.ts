import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endChild, startChild } from "./child.ts";
import { type Usage, usageOf } from "./process-usage.ts";

/** What a side is made of; all sides are started from this, in the same way. */
export interface SideSettings {
  readonly configPath: string;
  /** As `buildWorker` answered it. */
  readonly bundlePath: string;
  readonly vars: Readonly<Record<string, string>>;
  readonly stateDir: string;
  /** Set to take a CPU profile. */
  readonly inspectorPort: number | null;
}

/** A running side. */
export interface Side {
  readonly url: string;
  /** Where it stores, one folder for each kind of storage. */
  readonly stateDir: string;
  usage(): Usage | null;
  /** Ends it and removes what it stored. */
  end(): Promise<void>;
}

/**
 * Where sides store: memory where there is any, since a shared disk's fsync takes from 1 to 50 ms as it pleases and then
 * every ratio is one of disks. `BENCH_STATE_DIR` names another place.
 */
export function stateRoot(): string {
  return process.env.BENCH_STATE_DIR ?? (existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
}

/** What sides store, kept in memory, so that a bench that was interrupted leaves nothing. */
const stateDirs = new Set<string>();
process.on("exit", () => {
  for (const folder of stateDirs) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

/** Starts a side with empty storage. */
export async function startSide(settings: Omit<SideSettings, "stateDir">): Promise<Side> {
  const stateDir = mkdtempSync(join(stateRoot(), "darkroom-bench-"));
  stateDirs.add(stateDir);
  const { child, answer } = await startChild(
    "bench/sides/side-process.ts",
    [JSON.stringify({ ...settings, stateDir } satisfies SideSettings)],
    (line) => (line.startsWith('{"url"') ? (JSON.parse(line) as { url: string }) : null),
  );
  return {
    url: answer.url,
    stateDir,
    usage: () => (child.pid === undefined ? null : usageOf(child.pid)),
    end: async () => {
      await endChild(child);
      rmSync(stateDir, { recursive: true, force: true });
      stateDirs.delete(stateDir);
    },
  };
}
