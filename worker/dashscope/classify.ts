/** Classifies upstream's failures. Nothing else reads a status number or a code. Pure. */
import type { UpstreamReport } from "../../schemas/job.ts";
import type { Failure } from "./contract.ts";
import { type FailureRule, type HintContext, RULES, type StatusClass } from "./failure-table.ts";

/** Everything that can go wrong with one call, except running out of time: the caller that aborts by its signal knows the reason. */
export type UpstreamProblem =
  /** Upstream answered without success: an error status, a 200 with a `code`, a failed task. */
  | "refused"
  /** Success without an image in it. */
  | "noImage"
  /** A success whose body is not JSON, or not of the wire's shape. */
  | "badBody"
  /** A success whose body is larger than any answer can be. Reading it was stopped. */
  | "tooLarge"
  | "redirected"
  /**
   * No answer: the connection broke or was never made. The runtime throws the same error for both, so the worse is assumed.
   * Where Cloudflare distinguishes them (its 52x pages), the status decides.
   */
  | "cut"
  /** An uploaded image broke off while it was sent, so the request was never complete. */
  | "unreadInput"
  /** The answer held the image itself, which could not be stored. */
  | "unstored"
  /** The caller's signal ended it. */
  | "aborted"
  | "taskUnknown"
  | "taskCanceled";

/** The longest `Retry-After` that is honoured. The lane and the job have their own waits. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/** The verdict on a problem, from status and code alone. The message varies and is never read. */
export function classify(
  problem: UpstreamProblem,
  report: UpstreamReport,
  retryAfterMs: number | null,
  context: HintContext,
): Failure {
  const rule: FailureRule = problem === "refused" ? refusalRule(report.httpStatus ?? 0, report.code) : RULES[problem];
  const waitMs = Math.min(Math.max(retryAfterMs ?? 0, rule.leastWaitMs ?? 0), MAX_RETRY_AFTER_MS);
  return {
    disposition: rule.disposition,
    jobCode: rule.jobCode,
    message: `${rule.message}${suffix(report)}`,
    hint: rule.hint(context),
    mayBeBilled: rule.mayBeBilled ?? false,
    fault: rule.fault,
    maxRepeats: rule.maxRepeats ?? null,
    ...(rule.counted === undefined ? {} : { counted: rule.counted }),
    retryAfterMs: waitMs === 0 ? null : waitMs,
    report,
  };
}

function suffix(report: UpstreamReport): string {
  if (report.httpStatus === null) return "";
  return report.code === null ? ` (HTTP ${report.httpStatus})` : ` (${report.code})`;
}

/** The form in which codes are compared: `invalid_api_key` of the compatible mode equals `InvalidApiKey`. */
function normalized(code: string): string {
  return code.toLowerCase().replace(/[_\s-]/g, "");
}

function indexed<Key>(keysOf: (rule: FailureRule) => readonly Key[] | undefined): ReadonlyMap<Key, FailureRule> {
  return new Map(Object.values<FailureRule>(RULES).flatMap((rule) => (keysOf(rule) ?? []).map((key) => [key, rule])));
}

const BY_CODE = indexed((rule) =>
  rule.codes?.map((code) => code.replace(/^(\d+ )?(.*)$/, (_, status = "", name) => status + normalized(name))),
);
const BY_FAMILY = indexed((rule) => rule.families?.map(normalized));
const BY_STATUS = indexed<number | StatusClass>((rule) => rule.statuses);
const BY_BARE_STATUS = indexed<number | StatusClass>((rule) => rule.bareStatuses);

/**
 * The row of a refusal. The code decides: by exact match, by the code inside an `InternalError.…`, then by its family. The
 * status can overrule it: a 4xx except 408 is never upstream's own failure, and a 5xx with a family that blames the caller is
 * doubtful. Without a known code the status decides.
 */
function refusalRule(status: number, code: string | null): FailureRule {
  // A bare number is a status that a gateway repeats, not a code of DashScope.
  const name = code === null || /^\d+$/.test(code) ? null : normalized(code);
  const rule = name === null ? null : ruleOfCode(status, name);
  const isClientError = status >= 400 && status < 500 && status !== 408;
  const isVetoed = isClientError && (rule?.fault === "upstream" || rule === RULES.algorithmFailed);
  return rule === null || isVetoed ? ruleOfStatus(status, name) : rule;
}

function ruleOfCode(status: number, name: string): FailureRule | null {
  // `InternalError.Algo.InvalidParameter` has the decisive code at its end.
  const inner = /^internalerror\.(?:algo\.)?(.+)$/.exec(name)?.[1] ?? "";
  const exact = BY_CODE.get(`${status} ${name}`) ?? BY_CODE.get(name) ?? BY_CODE.get(inner);
  if (exact !== undefined) return exact;
  const family = familyOf(inner) ?? familyOf(name);
  if (family === undefined) return null;
  const blamesCaller = family.fault === "request" || family.disposition === "block";
  return status >= 500 && blamesCaller ? RULES.contradictory : family;
}

function familyOf(name: string): FailureRule | undefined {
  const dot = name.indexOf(".");
  return dot < 0 ? undefined : BY_FAMILY.get(name.slice(0, dot));
}

function ruleOfStatus(status: number, name: string | null): FailureRule {
  const keys: (number | StatusClass)[] = [status];
  if (status >= 400) keys.push(status >= 500 ? "5xx" : "4xx");
  for (const key of keys) {
    const rule = (name === null ? BY_BARE_STATUS.get(key) : undefined) ?? BY_STATUS.get(key);
    if (rule !== undefined) return rule;
  }
  return RULES.unexplained;
}
