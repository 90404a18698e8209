import type { JobErrorCode } from "../../schemas/job.ts";

/** What went wrong in the words that one line of a card holds; what can be done about it needs the rest. */
export const BRIEF_FAILURES: Readonly<Record<JobErrorCode, string>> = {
  attempts_exhausted: "No attempt succeeded",
  deadline_exceeded: "Not done by its deadline",
  outcome_uncertain: "An attempt got no answer",
  result_lost: "The images were lost",
  content_rejected: "Refused by the content check",
  invalid_request: "The request was refused",
  invalid_image: "An image cannot be used",
  image_unreachable: "An image cannot be fetched",
  model_unavailable: "The model is not to be had",
  upstream_rejected: "Refused by upstream",
};
