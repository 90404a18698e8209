/** Judges what went wrong upstream: the only reader of its status numbers and codes. Pure. */
import type { UpstreamReport } from "../../schemas/job.ts";
import type { Failure } from "./contract.ts";
import { CODES, PREFIXES, ruleForStatus } from "./failure-codes.ts";
import { type FailureRule, type HintContext, RULES } from "./failure-rules.ts";

/** All that can go wrong with one call. Running out of time is not here: whoever ends a call by its signal knows why. */
export type UpstreamProblem =
  /** It answered, and not with success: an error status, a 200 with a `code`, a failed task. */
  | { readonly kind: "refused" }
  /** Success without an image in it. */
  | { readonly kind: "no_image" }
  /** A success whose body is not JSON, or not of the wire's shape. */
  | { readonly kind: "bad_body" }
  /** A success whose body is larger than any answer can be; reading was given up. */
  | { readonly kind: "too_large" }
  | { readonly kind: "redirected" }
  /**
   * No answer: the connection broke, or never came about. The runtime throws the same error for both, so the worse is
   * assumed; where Cloudflare tells them apart (its 52x pages) it is a refusal by status.
   */
  | { readonly kind: "cut" }
  /** An uploaded image broke off while it was sent, so the request never was whole. */
  | { readonly kind: "unread_input" }
  /** The caller's signal ended it. */
  | { readonly kind: "aborted" }
  | { readonly kind: "task_unknown" }
  | { readonly kind: "task_canceled" };

/** A longer wait than this asked for by upstream is not believed: the lane and the job have their own rhythm. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * The verdict on a problem. A known `report.code` decides, whatever the status; then the longest known prefix; then the
 * status. Never the message: it varies, and it is the vendor's to change.
 */
export function classify(
  problem: UpstreamProblem,
  report: UpstreamReport,
  retryAfterMs: number | null,
  context: HintContext,
): Failure {
  const rule = ruleFor(problem, report);
  const waitMs = Math.min(Math.max(retryAfterMs ?? 0, rule.leastWaitMs ?? 0), MAX_RETRY_AFTER_MS);
  return {
    disposition: rule.disposition,
    jobCode: rule.jobCode,
    message: `${rule.message}${told(report)}`,
    hint: rule.hint(context),
    mayBeBilled: rule.mayBeBilled ?? false,
    fault: rule.fault,
    maxRepeats: rule.maxRepeats ?? null,
    retryAfterMs: waitMs === 0 ? null : waitMs,
    report,
  };
}

function ruleFor(problem: UpstreamProblem, report: UpstreamReport): FailureRule {
  switch (problem.kind) {
    case "refused":
      return ruleForCode(report.code) ?? ruleForStatus(report.httpStatus, report.code);
    case "no_image":
      return RULES.noImage;
    case "bad_body":
      return RULES.badBody;
    case "too_large":
      return RULES.tooLarge;
    case "redirected":
      return RULES.redirected;
    case "cut":
      return RULES.cut;
    case "unread_input":
      return RULES.unreadInput;
    case "aborted":
      return RULES.aborted;
    case "task_unknown":
      return RULES.taskUnknown;
    case "task_canceled":
      return RULES.taskCanceled;
    default:
      throw new Error(`no such problem: ${JSON.stringify(problem satisfies never)}`);
  }
}

function ruleForCode(code: string | null): FailureRule | null {
  if (code === null) return null;
  const name = code.toLowerCase();
  const exact = CODES.get(name);
  if (exact !== undefined) return exact;
  const prefix = PREFIXES.find(([start]) => name.startsWith(start));
  return prefix?.[1] ?? null;
}

function told(report: UpstreamReport): string {
  if (report.httpStatus === null) return "";
  return report.code === null ? ` (HTTP ${report.httpStatus})` : ` (${report.code})`;
}
