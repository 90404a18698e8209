import { setTimeout as pause } from "node:timers/promises";
import type { inspect } from "./inspector.ts";

const MEGABYTE = 1_000_000;
const SAMPLE_EVERY_MS = 5;

interface HeapUsage {
  readonly usedSize: number;
  readonly backingStorageSize?: number;
}

/** One collection leaves what it has just made unreachable, and what the next turn of the event loop lets go. */
const COLLECTIONS = 3;

/**
 * The highest heap of the Worker while `work` runs, garbage included, and what is left of it afterwards, both after collections,
 * in MB. The bytes of buffers outside of the heap are counted too.
 */
export async function peakHeapMb(
  ask: Awaited<ReturnType<typeof inspect>>,
  work: () => Promise<void>,
): Promise<{ readonly peak: number; readonly left: number }> {
  const used = async () => {
    const { usedSize, backingStorageSize = 0 } = (await ask("Runtime.getHeapUsage")) as HeapUsage;
    return usedSize + backingStorageSize;
  };
  const collected = async () => {
    for (let i = 0; i < COLLECTIONS; i += 1) {
      // workerd answers this one only after the next: it collects when it is idle.
      void ask("HeapProfiler.collectGarbage");
      await used();
    }
    return await used();
  };
  let peak = await collected();
  let isDone = false;
  const sampling = (async () => {
    while (!isDone) {
      peak = Math.max(peak, await used());
      await pause(SAMPLE_EVERY_MS);
    }
  })();
  try {
    await work();
  } finally {
    isDone = true;
    await sampling;
  }
  return { peak: peak / MEGABYTE, left: (await collected()) / MEGABYTE };
}
