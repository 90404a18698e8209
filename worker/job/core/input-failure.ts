import type { Failure } from "../../dashscope/contract.ts";
import { EMPTY_REPORT } from "./job-record.ts";

/**
 * Why upstream was not even called: an uploaded input is gone for good, or could not be read this time. Nothing was
 * billed, and nothing is known of upstream's health.
 */
export function inputFailure(kind: "missing" | "error", what: string): Failure {
  const missing = kind === "missing";
  return {
    disposition: missing ? "give_up" : "retry",
    jobCode: missing ? "invalid_image" : "attempts_exhausted",
    message: missing
      ? `the uploaded image ${what.slice(0, 12)}… is no longer stored`
      : `the call could not be prepared: ${what.slice(0, 200)}`,
    hint: missing ? "Submit the job again with its image." : "Retry the job.",
    mayBeBilled: false,
    fault: "none",
    maxRepeats: null,
    retryAfterMs: null,
    report: EMPTY_REPORT,
  };
}
