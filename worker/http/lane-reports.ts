import type { LaneReport } from "../../schemas/limits.ts";
import type { Config } from "../env.ts";
import { laneName } from "../lane/lane-name.ts";
import { laneStub } from "../stubs.ts";

/** A report this old is still told: health is asked by many, and a lane has jobs to serve. */
const FRESH_MS = 1500;

interface Kept {
  readonly report: LaneReport;
  readonly atMs: number;
}

/** Lane → its last report, for this isolate. Only plain data is kept: a promise of one request is no good to another. */
const kept = new Map<string, Kept>();

/** The models whose lanes everyone may know of: the defaults, and those that the operator set limits for. */
export function configuredModels(config: Pick<Config, "models" | "laneLimits">): string[] {
  return [...new Set([...Object.values(config.models), ...Object.keys(config.laneLimits)])];
}

async function reportOf(env: Env, lane: string): Promise<LaneReport | null> {
  const known = kept.get(lane);
  if (known !== undefined && Date.now() - known.atMs < FRESH_MS) return known.report;
  try {
    const report = await laneStub(env, lane).report();
    kept.set(lane, { report, atMs: Date.now() });
    return report;
  } catch (error) {
    console.error({ event: "lane_unavailable", lane, error: String(error) });
    return null;
  }
}

/** What the lanes of these models say, in the models' order; null for one that does not answer. */
export async function laneReports(env: Env, config: Config, models: readonly string[]): Promise<(LaneReport | null)[]> {
  return await Promise.all(models.map((model) => reportOf(env, laneName(config, model))));
}
