import type { LaneReport } from "../../schemas/limits.ts";
import { REGION_HOSTS, type Region } from "../dashscope/wire.ts";
import type { Config } from "../env.ts";

/** A host never contains this, so the first one in a name ends the host. */
const SEPARATOR = "|";

/** The name of the lane object of an upstream host and a model, because upstream limits each model of a host by itself. */
export function laneName(config: { readonly upstreamHost: string }, model: string): string {
  return `${config.upstreamHost}${SEPARATOR}${model}`;
}

/** The model of a lane's name; `null` when the name is not one of `laneName`'s. */
export function laneModel(name: string): string | null {
  const at = name.indexOf(SEPARATOR);
  return at <= 0 || at === name.length - 1 ? null : name.slice(at + 1);
}

/** The models whose lanes are always shown: the defaults, and those of `LANE_LIMITS`. */
export function configuredModels(config: Pick<Config, "models" | "laneLimits">): string[] {
  return [...new Set([...Object.values(config.models), ...Object.keys(config.laneLimits)])];
}

/** Whether a lane has something to show: jobs, a pause or a limit that the operator set. */
export function isInUse({ queued, inProgress, paused, limit }: LaneReport): boolean {
  return queued > 0 || inProgress > 0 || (paused ?? null) !== null || (limit ?? null) !== null;
}

/** The platform's location hints that are nearest to upstream's regions. */
const LOCATIONS = {
  sg: "apac-se",
  bj: "apac-ne",
  hk: "apac",
  us: "enam",
} as const satisfies Readonly<Record<Region, DurableObjectLocationHint>>;

// Read with every call to a lane.
const REGION_OF_HOST: ReadonlyMap<string, Region> = new Map(
  // The keys of `REGION_HOSTS` are the regions.
  Object.entries(REGION_HOSTS).map(([region, url]) => [new URL(url).host, region as Region]),
);

/**
 * Where a lane's object should be made: near upstream, wherever the first job comes from. A hint counts only at the first use of
 * the name. A shared host belongs to one region; any other host is taken to be in the configured `region` (`null`: no hint).
 */
export function laneLocation(name: string, region: Region | null): DurableObjectLocationHint | null {
  const host = name.slice(0, Math.max(0, name.indexOf(SEPARATOR)));
  const where = REGION_OF_HOST.get(host) ?? region;
  return where === null ? null : LOCATIONS[where];
}
