import type { Warning } from "../../schemas/job.ts";
import { within } from "../bounds.ts";
import type { ClientPause, ClientSpend, FirstAnswer, FirstReservation } from "../catalog/contract.ts";
import type { Config } from "../env.ts";
import { estimateMicros } from "../spend/core/position.ts";
import { budgetOf, unitMicrosOf } from "../spend/prices.ts";
import { catalogStub } from "../stubs.ts";
import { ProblemError } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { jobProblem, spendShown, usedWords } from "./job-answers.ts";

/** Submissions reserved by one call, so that most submits need no call of their own. */
const BLOCK = 32;
/** With fewer left, the next block is fetched in the background. */
const LOW = 8;
/** The wait that a refused client is asked for: jobs finish every few seconds. */
const RETRY_AFTER_SECONDS = 10;

/** How often one request asks its catalog for room at most. It asks again when what it was granted is taken or has ended. */
const MOST_ASKED = 10;

/** How often room that ended before it was used is taken again for one submission or retry. */
export const MOST_RENEWALS = 2;

/** Submissions that a client's catalog has reserved. */
export interface Block {
  left: number;
  /** What is submitted later than this is refused by its job. */
  endsAtMs: number;
  /** Calls to the catalog that are open. */
  refills: number;
}

/** What this isolate may still submit for each client. The client's catalog counts for all isolates. */
const blocks = new Map<string, Block>();

function blockOf(client: string, nowMs: number): Block {
  const known = blocks.get(client);
  if (known !== undefined && nowMs < known.endsAtMs) return known;
  const fresh: Block = { left: 0, endsAtMs: Number.POSITIVE_INFINITY, refills: 0 };
  blocks.set(client, fresh);
  return fresh;
}

/** Takes `count` submissions out of the block, or none. The catalog may have answered after the block has ended. */
function takeFrom(block: Block, count: number): boolean {
  if (block.left < count || Date.now() >= block.endsAtMs) return false;
  block.left -= count;
  return true;
}

/**
 * Asks for a block and takes `count` submissions out of it. `lost`: other requests took what was granted, or it ended before the
 * answer arrived. While another call asks for a block, this one asks only for the submissions that are missing: a burst that
 * reserved a block for each of its submissions would reserve all there is, and be refused until the reservations end.
 */
async function refill(
  c: HttpContext,
  client: string,
  block: Block,
  count: number,
): Promise<ClientPause | "taken" | "lost" | "refused"> {
  const missing = Math.max(1, count - block.left);
  const wanted = block.refills === 0 ? Math.max(BLOCK, missing) : missing;
  block.refills += 1;
  try {
    const answer = await catalogStub(c.env, client).reserve(wanted, c.get("config").maxPendingJobs, missing);
    const { granted, endsAtMs, paused = null } = answer;
    block.left = paused === null ? block.left + granted : 0;
    block.endsAtMs = Math.min(block.endsAtMs, endsAtMs);
    if (paused !== null) return paused;
    if (takeFrom(block, count)) return "taken";
    return granted > 0 ? "lost" : "refused";
  } finally {
    block.refills -= 1;
  }
}

/**
 * Takes room for `count` submissions, or for one retry, within the client's limit on unfinished jobs. Answers the block that
 * the room is from; `returnPending` gives back what made no job. At the limit, and while the client is paused, answers the
 * refusal: then nothing is taken, and the catalog reserves nothing.
 */
export async function takePending(c: HttpContext, client: string, count = 1): Promise<Block | ProblemError> {
  const known = blockOf(client, Date.now());
  if (takeFrom(known, count)) {
    if (known.left < LOW && known.refills === 0) {
      const filled = refill(c, client, known, 0);
      c.executionCtx.waitUntil(
        filled.catch((error: unknown) => console.error({ event: "reserve_failed", client, error: String(error) })),
      );
    }
    return known;
  }
  for (let asked = 1; asked <= MOST_ASKED; asked++) {
    const block = blockOf(client, Date.now());
    const before = block.left;
    const answer = await refill(c, client, block, count);
    if (answer === "taken") return block;
    if (typeof answer === "object") return clientPaused(answer);
    // Another request of this isolate was granted room, or gave some back.
    if (takeFrom(block, count)) return block;
    const mayGrow = block.left > before || (block.refills > 0 && asked === 1);
    if (answer === "refused" && !mayGrow) break;
  }
  return tooManyPending(c.get("config").maxPendingJobs);
}

/** Gives room back that made no job. The next submission may use it while the catalog keeps the block reserved. */
export function returnPending(block: Block, count = 1): void {
  block.left += count;
}

/** Forgets what this isolate has reserved for the client. Other isolates use theirs up, within ten seconds. */
export function forgetReserved(client: string): void {
  blocks.delete(client);
}

function clientPaused({ reason, untilMs }: ClientPause): ProblemError {
  const end = untilMs === null ? "until the operator resumes it" : `until ${new Date(untilMs).toISOString()}`;
  return new ProblemError("client_paused", `The operator has paused this client ${end}: ${reason}`);
}

/** The answer to a client at its limit. */
function tooManyPending(limit: number): ProblemError {
  return new ProblemError(
    "too_many_pending_jobs",
    `At most ${limit} jobs may be unfinished at once; wait for some, or cancel them.`,
    {
      headers: {
        "Retry-After": String(RETRY_AFTER_SECONDS),
        "RateLimit-Policy": `"pending-jobs";q=${limit};qu="jobs"`,
        RateLimit: `"pending-jobs";r=0;t=${RETRY_AFTER_SECONDS}`,
      },
    },
  );
}

/** The time in which a granted submission is stored, in ms: three calls to its object, and the waits between them. */
const GRANT_MS = 60_000;
const RESERVE_BOUND_MS = 10_000;

type Priced = Pick<Config, "modelTable" | "region" | "currency" | "prices" | "budgets">;

function priceUnknown(model: string): ProblemError {
  return new ProblemError(
    "price_unknown",
    `This client has a spend limit, and what ${model} costs is not known. The operator can say it in PRICES, e.g. {"${model}":0.075}.`,
  );
}

/** The price of a job's images. `reserveFirst` decides whether it must be reserved. */
export function priceOfJob(config: Priced, model: string, request: { readonly promptExtend: boolean | null }) {
  return { currency: config.currency, unitMicros: unitMicrosOf(config, model, request.promptExtend) };
}

/**
 * Reserves the money of a job's first attempt, and its place among the client's unfinished jobs, in one call. Null for a
 * client without a limit. `untilMs`: the job must be made by then; for a removed job nothing is reserved and `untilMs` has
 * passed.
 */
export async function reserveFirst(
  c: HttpContext,
  client: string,
  job: PricedJob,
): Promise<{ readonly untilMs: number; readonly warnings: readonly Warning[] } | null> {
  const config = c.get("config");
  const budget = budgetOf(config, client);
  if (budget === null) return null;
  const asked = reservationOf(job, Date.now() + GRANT_MS);
  const call = catalogStub(c.env, client).reserveFirst(asked, budget, config.maxPendingJobs);
  return reservedOf(c, asked.untilMs, await within(RESERVE_BOUND_MS, "the catalog", call));
}

/** A job that is about to be made, and the price of one image; null when the price is not known. */
interface PricedJob {
  readonly id: string;
  readonly model: string;
  readonly n: number;
  readonly unitMicros: number | null;
}

function reservationOf({ id, model, n, unitMicros }: PricedJob, untilMs: number): FirstReservation {
  if (unitMicros === null) throw priceUnknown(model);
  return { jobId: id, micros: estimateMicros(n, unitMicros), untilMs };
}

/**
 * Like `reserveFirst`, for all jobs of one request or for none of them. Returns a function that releases the reservations of
 * those jobs that are not submitted after all.
 */
export async function reserveParts(
  c: HttpContext,
  client: string,
  jobs: readonly PricedJob[],
): Promise<(jobIds: readonly string[]) => Promise<void>> {
  const config = c.get("config");
  const budget = budgetOf(config, client);
  if (budget === null) return async () => undefined;
  const untilMs = Date.now() + GRANT_MS;
  const asked = jobs.map((job) => reservationOf(job, untilMs));
  const catalog = catalogStub(c.env, client);
  const call = catalog.reserveParts(asked, budget, config.maxPendingJobs);
  const { answer, reserved } = await within(RESERVE_BOUND_MS, "the catalog", call);
  reservedOf(c, untilMs, answer);
  return async (jobIds) => {
    const parts = jobIds.filter((id) => reserved.includes(id)).map((jobId) => ({ jobId, untilMs }));
    if (parts.length > 0) await within(RESERVE_BOUND_MS, "the catalog", catalog.releaseParts(parts));
  };
}

/** What a catalog's answer grants. Throws when it refuses. */
function reservedOf(
  c: HttpContext,
  untilMs: number,
  answer: FirstAnswer,
): { readonly untilMs: number; readonly warnings: readonly Warning[] } {
  switch (answer.result) {
    case "granted":
      return { untilMs, warnings: answer.alert === null ? [] : [alertWarning(answer.alert)] };
    case "gone":
      return { untilMs: 0, warnings: [] };
    case "paused":
      throw clientPaused(answer.paused);
    case "too_many_pending":
      throw tooManyPending(c.get("config").maxPendingJobs);
    case "budget_exceeded":
      throw jobProblem({ ok: false, code: "budget_exceeded", spend: answer.spend });
    default:
      throw new Error(`no such answer: ${JSON.stringify(answer satisfies never)}`);
  }
}

function alertWarning(spend: ClientSpend): Warning {
  const { currency, limit, resetsAt } = spendShown(spend);
  return {
    code: "budget_alert",
    message: `the client's spend limit of ${limit} ${currency} a month is nearly used: ${usedWords(spend)}; it starts again at ${resetsAt}`,
  };
}

/** The limiter is called once for this many submissions of a client. */
export const COUNTED_AT_ONCE = 10;
/** The product of `[[ratelimits]]` in wrangler.toml and `COUNTED_AT_ONCE`; a test compares them. */
export const SUBMIT_LIMIT = { submissions: 600, periodSeconds: 60 } as const;

/** Client → its submissions that the limiter has not counted yet. Of this isolate. */
const uncounted = new Map<string, number>();

/** Client → the end of its window, for clients that the limiter has refused. Of this isolate; the limiter itself is shared. */
const brakedUntilMs = new Map<string, number>();

/**
 * Refuses a client that submits too fast. The limiter counts beside the submission and not before it: a few excess
 * submissions that it notices late cost less than a wait in every one.
 */
export function brakeSubmissions(c: HttpContext, client: string): void {
  const { authMode, publicOpenModeAllowed } = c.get("config");
  // In open mode the service runs on its only client's machine.
  if (authMode === "open" && !publicOpenModeAllowed) return;
  const { submissions, periodSeconds } = SUBMIT_LIMIT;
  const nowMs = Date.now();
  const untilMs = brakedUntilMs.get(client);
  if (untilMs !== undefined && nowMs < untilMs) {
    const waitSeconds = Math.ceil((untilMs - nowMs) / 1000);
    throw new ProblemError(
      "rate_limited",
      `At most ${submissions} submissions in ${periodSeconds} s; try again in ${waitSeconds} s.`,
      {
        headers: {
          "Retry-After": String(waitSeconds),
          "RateLimit-Policy": `"submit";q=${submissions};w=${periodSeconds}`,
          RateLimit: `"submit";r=0;t=${waitSeconds}`,
        },
      },
    );
  }
  if (untilMs !== undefined) brakedUntilMs.delete(client);
  const sinceCounted = (uncounted.get(client) ?? 0) + 1;
  uncounted.set(client, sinceCounted % COUNTED_AT_ONCE);
  if (sinceCounted < COUNTED_AT_ONCE) return;
  const counted = c.env.SUBMIT_LIMITER.limit({ key: client }).then(({ success }) => {
    // The limiter's windows are whole minutes of the clock.
    const periodMs = periodSeconds * 1000;
    if (!success) brakedUntilMs.set(client, (Math.floor(nowMs / periodMs) + 1) * periodMs);
  });
  c.executionCtx.waitUntil(
    counted.catch((error: unknown) => console.error({ event: "submit_limiter_failed", error: String(error) })),
  );
}
