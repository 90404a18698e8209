import type { CatalogRpc } from "./catalog/contract.ts";
import { configOf } from "./env.ts";
import type { JobRpc } from "./job/contract.ts";
import type { LaneRpc } from "./lane/contract.ts";
import { laneLocation } from "./lane/lane-name.ts";
import type { OperatorLogRpc } from "./operator/contract.ts";

/** An object's stub as its contract says it: what it answers by RPC, and `fetch` for sockets and streams. */
export type Stub<Rpc> = Rpc & { fetch(request: Request): Promise<Response> };

/*
 * The casts: the runtime's own stub types wrap every answer in a type of their own, which plain data does not need; that
 * each object implements its contract is checked at its class.
 */

export function jobStub(env: Env, jobId: string): Stub<JobRpc> {
  return env.JOBS.getByName(jobId) as unknown as Stub<JobRpc>;
}

/** `name` as `laneName` makes it. The first use of a name makes its object near upstream. */
export function laneStub(env: Env, name: string): Stub<LaneRpc> {
  const settings = configOf(env);
  const locationHint = laneLocation(name, settings.ok ? settings.config.region : null);
  const options = locationHint === null ? {} : { locationHint };
  return env.LANES.getByName(name, options) as unknown as Stub<LaneRpc>;
}

export function catalogStub(env: Env, client: string): Stub<CatalogRpc> {
  return env.CATALOGS.getByName(client) as unknown as Stub<CatalogRpc>;
}

/** There is one log, so one name. */
export function operatorLogStub(env: Env): Stub<OperatorLogRpc> {
  return env.OPERATOR_LOG.getByName("log") as unknown as Stub<OperatorLogRpc>;
}
