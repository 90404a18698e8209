import { createHash } from "node:crypto";
import { nanoid } from "nanoid";
import { JOB_ID_PATTERN } from "../../schemas/paths.ts";
import type { HttpContext } from "./http-env.ts";
import { ProblemError } from "./problem.ts";

const RANDOM_CHARS = 21;

/**
 * The id of a new job. With a key it follows from client and key alone, so that the same submission always meets the same
 * object. `generation` grows when the job of a key is gone.
 */
export function newJobId(client: string, key: string | null, generation: number): string {
  if (key === null) return `job_${nanoid(RANDOM_CHARS)}`;
  // No client's name holds a line break, and no number does, so that no two triples read the same.
  const hash = createHash("sha256").update(`${client}\n${generation}\n${key}`).digest("base64url");
  return `job_${hash.slice(0, RANDOM_CHARS)}`;
}

/** The job's id in the path. What cannot be one is answered like an unknown job, and wakes no object. */
export function jobIdOf(c: HttpContext): string {
  const id = c.req.param("id") ?? "";
  if (!JOB_ID_PATTERN.test(id)) throw jobNotFound();
  return id;
}

/** The same answer for an unknown job and for another client's. */
export function jobNotFound(): ProblemError {
  return new ProblemError("job_not_found", "There is no such job, or it is another client's.");
}
