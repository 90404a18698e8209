import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endChild, startChild } from "./child.ts";
import { type Usage, usageOf } from "./process-usage.ts";

/** The settings of a side; all sides are started from these, in the same way. */
export interface SideSettings {
  readonly configPath: string;
  /** The path that `buildWorker` returned. */
  readonly bundlePath: string;
  readonly vars: Readonly<Record<string, string>>;
  readonly stateDir: string;
  /** The inspector's port, for a profile; null without one. */
  readonly inspectorPort: number | null;
}

/** A running side. */
export interface Side {
  readonly url: string;
  /** The folder of its state, with one folder for each kind of storage. */
  readonly stateDir: string;
  usage(): Usage | null;
  /** Ends it and removes its state. */
  end(): Promise<void>;
}

/**
 * The folder for the state of sides: in memory where possible, because a shared disk's fsync takes from 1 to 50 ms at random, and
 * then every ratio would compare disks. `BENCH_STATE_DIR` names another folder.
 */
export function stateRoot(): string {
  return process.env.BENCH_STATE_DIR ?? (existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
}

/** The folders of all sides, which are removed at the exit, so that an interrupted bench leaves nothing. */
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
