import type { LaneReport } from "../../schemas/limits.ts";
import { within } from "../bounds.ts";
import type { Config } from "../env.ts";
import type { Place } from "../lane/contract.ts";
import { laneName } from "../lane/lane-name.ts";
import { laneStub } from "../stubs.ts";

/** A read of something else waits no longer than this for a lane. */
export const READ_WAIT_MS = 300;
/** A report this old is shown without asking: health is read by many, and a lane has jobs to serve. */
const FRESH_MS = 1500;

interface Kept {
  readonly report: LaneReport;
  readonly atMs: number;
}

// Of this isolate, by lane. Plain data only: a promise of one request cannot be awaited by another.
const reports = new Map<string, Kept>();
const places = new Map<string, Readonly<Record<string, Place>>>();

/** The models whose lanes every client may see: the defaults, and those that the operator set limits for. */
export function configuredModels(config: Pick<Config, "models" | "laneLimits">): string[] {
  return [...new Set([...Object.values(config.models), ...Object.keys(config.laneLimits)])];
}

/** The report of a lane; the last known one when the lane does not answer within `READ_WAIT_MS`, and null when none is known. */
async function reportOf(env: Env, lane: string): Promise<LaneReport | null> {
  const known = reports.get(lane);
  if (known !== undefined && Date.now() - known.atMs < FRESH_MS) return known.report;
  const asked = laneStub(env, lane)
    .report()
    .then((report) => {
      reports.set(lane, { report, atMs: Date.now() });
      return report;
    });
  try {
    return await within(READ_WAIT_MS, "the lane", asked);
  } catch (error) {
    console.error({ event: "lane_unavailable", lane, error: String(error) });
    return known?.report ?? null;
  }
}

/** The reports of these models' lanes, in the models' order; null for a lane of which none is known. */
export async function laneReports(env: Env, config: Config, models: readonly string[]): Promise<(LaneReport | null)[]> {
  return await Promise.all(models.map((model) => reportOf(env, laneName(config, model))));
}

/** The places of waiting jobs in their lane: one call. As above, the last known ones when the lane does not answer in time. */
export async function lanePlaces(
  env: Env,
  config: Config,
  model: string,
  jobIds: readonly string[],
): Promise<Readonly<Record<string, Place>>> {
  const lane = laneName(config, model);
  const asked = laneStub(env, lane)
    .places([...jobIds])
    .then((answer) => {
      places.set(lane, answer);
      return answer;
    });
  try {
    return await within(READ_WAIT_MS, "the lane", asked);
  } catch (error) {
    console.error({ event: "lane_unavailable", lane, error: String(error) });
    return places.get(lane) ?? {};
  }
}
