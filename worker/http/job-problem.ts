import type { JobRefusal } from "../job/contract.ts";
import { jobNotFound } from "./job-id.ts";
import { ProblemError } from "./problem.ts";
import { uploadTimedOut } from "./uploads.ts";

/** Why an object refused, as a problem. */
export function jobProblem(refusal: JobRefusal): ProblemError {
  switch (refusal.code) {
    case "job_not_found":
      return jobNotFound();
    case "job_gone":
      return new ProblemError("job_gone", "The job was deleted, or its retention is over; its images are gone too.");
    case "job_finished":
      return new ProblemError("job_finished", `The job has ${refusal.status} already, and stays so.`);
    case "job_not_finished":
      return new ProblemError(
        "job_not_finished",
        `The job is ${refusal.status}; only a failed or canceled one is retried.`,
      );
    case "idempotency_key_reused":
      return new ProblemError(
        "idempotency_key_reused",
        `This Idempotency-Key belongs to a job with another ${refusal.fields.join(", ")}. A new submission needs a new key.`,
        {
          errors: refusal.fields.map((field) => ({
            path: `/${field.replace(/^\//, "")}`,
            message: "differs from the first submission with this key",
          })),
          headers: { Link: '</api/docs#idempotency>; rel="describedby"' },
        },
      );
    case "upload_timed_out":
      return uploadTimedOut();
    case "image_not_found":
      return new ProblemError("image_not_found", "The job has no image of this number.");
    default:
      throw new Error(`no such refusal: ${JSON.stringify(refusal satisfies never)}`);
  }
}
