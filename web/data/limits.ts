import { useEffect } from "react";
import type { LaneBlock, Limits } from "../../schemas/limits.ts";
import { type ListedJob, type Sides, sidesOfJob } from "../state/listed-job.ts";
import { isShutOut } from "./access.ts";
import { darkroom } from "./darkroom.ts";
import { createStore, useStore } from "./store.ts";

/** Models and lanes as last answered; null before the first answer. */
export const limits = createStore<Limits | null>(null);

/** Why the last request for them failed; null when it succeeded. The answer before it stays in `limits`. */
const limitsFailure = createStore<unknown>(null);

/** As often as a watched place in line is updated. */
const REFRESH_MS = 5_000;

let watchers = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Asks for the limits now, and again every 5 s while any view uses them. Never rejects. */
export async function refreshLimits(): Promise<void> {
  clearTimeout(timer);
  if (document.visibilityState === "visible") {
    try {
      limits.set(await darkroom.limits());
      limitsFailure.set(null);
    } catch (error) {
      if (await isShutOut(error)) return;
      limitsFailure.set(error);
    }
  }
  clearTimeout(timer);
  if (watchers > 0) timer = setTimeout(refreshLimits, REFRESH_MS);
}

/** The limits, refreshed while any view uses them and the tab is visible. */
export function useLimits(): Limits | null {
  useEffect(() => {
    watchers += 1;
    if (watchers === 1) void refreshLimits();
    return () => {
      watchers -= 1;
      if (watchers === 0) clearTimeout(timer);
    };
  }, []);
  return useStore(limits);
}

/** Why the limits are missing or outdated; null while they are fresh. */
export function useLimitsFailure(): unknown {
  return useStore(limitsFailure);
}

/** Why the lane of a model is blocked; null while it is not blocked, or not known. */
export function useLaneBlock(model: string): LaneBlock | null {
  return useStore(limits)?.lanes.find((lane) => lane.model === model)?.blocked ?? null;
}

/** The sides of a job's images; null where the model decides and no image is made yet. */
export function useJobSides(job: Pick<ListedJob, "model" | "size" | "output">): Sides | null {
  return sidesOfJob(job, useStore(limits)?.models ?? []);
}
