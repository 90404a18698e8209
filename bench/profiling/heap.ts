import { setTimeout as pause } from "node:timers/promises";
import type { inspect } from "./inspector.ts";

const MEGABYTE = 1_000_000;
const SAMPLE_EVERY_MS = 5;

interface HeapUsage {
  readonly usedSize: number;
  readonly backingStorageSize?: number;
}

/** One collection is not enough: it makes further objects unreachable, and the next turn of the event loop releases more. */
const COLLECTIONS = 3;

/**
 * How much the Worker's heap holds in MB: its peak while `work` runs, garbage included, and what is left afterwards. Collections
 * run before each of the two. The bytes of buffers outside the heap are counted too.
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
      // Not awaited: workerd collects when it is idle, and answers this call only after the next one.
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
