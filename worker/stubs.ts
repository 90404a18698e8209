import { createHash } from "node:crypto";
import { within } from "./bounds.ts";
import type { CatalogRpc } from "./catalog/contract.ts";
import { configOf } from "./env.ts";
import type { JobRpc } from "./job/contract.ts";
import type { LaneRpc } from "./lane/contract.ts";
import { laneLocation } from "./lane/lane-name.ts";
import type { OperatorLogRpc } from "./operator/contract.ts";

/**
 * An object's stub as its contract declares it: the calls by RPC, and `fetch` for sockets and streams, which resolves when the
 * stream begins. Every call throws `OutOfTime` at a bound of its own; a caller that cannot wait that long adds a shorter one.
 */
export type Stub<Rpc> = Rpc & { fetch(request: Request): Promise<Response> };

/** An object answers within this, in ms, or the call is given up: the platform repeats a call for 10 s at most. */
export const ANSWER_WITHIN_MS = 12_000;

type Call = (...given: never[]) => Promise<unknown>;

/** The bounds of calls that may take longer by their nature; some depend on the arguments. */
type LongCalls<Rpc> = {
  readonly [Name in keyof Rpc]?: Rpc[Name] extends (...given: infer Given) => unknown
    ? number | ((...given: Given) => number)
    : never;
};

function bounded<Rpc>(what: string, stub: unknown, longCalls: LongCalls<Rpc>): Stub<Rpc> {
  const calls = stub as Readonly<Record<string, Call>>;
  const bounds = longCalls as Readonly<Record<string, number | ((...given: never[]) => number) | undefined>>;
  return new Proxy(calls, {
    get: (_calls, name) => {
      // `then` is undefined, so that `await` does not take the stub for a promise.
      if (typeof name === "symbol" || name === "then") return undefined;
      const bound = bounds[name] ?? ANSWER_WITHIN_MS;
      return async (...given: never[]) => {
        const boundMs = typeof bound === "number" ? bound : bound(...given);
        // A stub has every method that it is asked for.
        return within(boundMs, what, Reflect.apply(calls[name] as Call, calls, given));
      };
    },
  }) as unknown as Stub<Rpc>;
}

const LONG_CALLS_OF_JOBS: LongCalls<JobRpc> = {
  wait: (_viewer, _tag, timeoutMs) => timeoutMs + ANSWER_WITHIN_MS,
  // A lease is offered a little before it may begin, and uploads are opened meanwhile. By then the lane has already offered it
  // again.
  begin: 15_000,
  // A retry waits 3 s for a submission that was called off, and 10 s for the catalog.
  retry: 20_000,
};

const LONG_CALLS_OF_LANES: LongCalls<LaneRpc> = {
  // The answer to a pause waits for the jobs that may still begin, ten seconds at most.
  control: 20_000,
};

/*
 * The casts in `bounded`: the runtime's own stub types wrap every answer in a type of their own, which plain data does not need;
 * that each object implements its contract is checked at its class.
 */

/** As many characters of a hash as a random id of nanoid has. */
const HASH_CHARS = 21;
/** How the runtime writes an object's id. */
const UNIQUE_ID = /^job_([0-9a-f]{64})$/;

type Jobs = Env["JOBS"];

/**
 * The id of a new job. With a key it is a name that follows from client, key and `generation`, so that the same submission
 * always reaches the same object. `generation` grows when the job of a key was deleted. Without a key it is an id that the
 * platform makes: the first use of a name is checked worldwide, which takes up to a few hundred ms (Cloudflare's "Durable
 * Object Namespace"), and that of such an id is not.
 */
export function newJobId(jobs: Jobs, client: string, key: string | null, generation: number): string {
  if (key === null) return `job_${jobs.newUniqueId().toString()}`;
  // No client's name and no number holds a line break, so different triples give different texts.
  const hash = createHash("sha256").update(`${client}\n${generation}\n${key}`).digest("base64url");
  return `job_${hash.slice(0, HASH_CHARS)}`;
}

/** The platform's own stub of the job's object. An id that nobody was given leads to an object that has no job. */
export function jobObject(jobs: Jobs, jobId: string): ReturnType<Jobs["getByName"]> {
  const uniqueId = UNIQUE_ID.exec(jobId)?.[1];
  if (uniqueId !== undefined) {
    try {
      return jobs.get(jobs.idFromString(uniqueId));
    } catch {
      // The platform made no such id for a job.
    }
  }
  return jobs.getByName(jobId);
}

/** The id of the job of this object, which is known before any job is stored. */
export function jobIdOfObject(id: DurableObjectId): string {
  return id.name ?? `job_${id.toString()}`;
}

export function jobStub(env: Env, jobId: string): Stub<JobRpc> {
  return bounded("the job", jobObject(env.JOBS, jobId), LONG_CALLS_OF_JOBS);
}

/** `name` as `laneName` makes it. The first use of a name makes its object near upstream. */
export function laneStub(env: Env, name: string): Stub<LaneRpc> {
  const settings = configOf(env);
  const locationHint = laneLocation(name, settings.ok ? settings.config.region : null);
  const options = locationHint === null ? {} : { locationHint };
  return bounded("the lane", env.LANES.getByName(name, options), LONG_CALLS_OF_LANES);
}

export function catalogStub(env: Env, client: string): Stub<CatalogRpc> {
  return bounded<CatalogRpc>("the catalog", env.CATALOGS.getByName(client), {});
}

/** There is one log, so one name. */
export function operatorLogStub(env: Env): Stub<OperatorLogRpc> {
  return bounded<OperatorLogRpc>("the operator's log", env.OPERATOR_LOG.getByName("log"), {});
}
