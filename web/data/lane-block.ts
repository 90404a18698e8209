import type { LaneBlock } from "../../schemas/limits.ts";
import { limits } from "./limits.ts";
import { useStore } from "./store.ts";

/** Why the lane of a model starts nothing, as last told; null while it does, or where that is not known. */
export function useLaneBlock(model: string): LaneBlock | null {
  return useStore(limits)?.lanes.find((lane) => lane.model === model)?.blocked ?? null;
}
