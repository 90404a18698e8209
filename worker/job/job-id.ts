import { createHash } from "node:crypto";

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

/** The stub of the job's object. An id that nobody was given leads to an object that has no job. */
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
