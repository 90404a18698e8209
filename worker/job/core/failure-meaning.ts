import type { JobError, UpstreamReport } from "../../../schemas/job.ts";
import type { Failure } from "../../dashscope/contract.ts";
import type { LeaseOutcome } from "../../lane/contract.ts";

/** Whether a refusal says nothing against the job: throttled, or the account's or the deployment's fault. */
export function isPutBack({ disposition }: Failure): boolean {
  return disposition === "put_back" || disposition === "block";
}

/** What the lane must know of a refusal that was no fault of the job's. */
export function putBackOutcome(failure: Failure, report: UpstreamReport): LeaseOutcome {
  if (failure.disposition !== "block") return { kind: "throttled", retryAfterMs: failure.retryAfterMs };
  return { kind: "blocked", code: report.code ?? `HTTP ${report.httpStatus}`, hint: failure.hint };
}

/** Whose fault a failure is, as lanes tell them apart. */
export function faultOf(failure: Failure): "upstream" | "request" | "none" {
  return failure.fault === "account" ? "none" : failure.fault;
}

/** The job's error when it fails by this alone. */
export function errorOf(failure: Failure, report: UpstreamReport): JobError {
  return {
    code: failure.jobCode,
    message: failure.message,
    hint: failure.hint,
    upstream: { code: report.code, requestId: report.requestId },
  };
}
