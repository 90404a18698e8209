import { within } from "../bounds.ts";
import { requireAsker, submitterOf } from "../http/access.ts";
import { ProblemError } from "../http/answers.ts";
import type { CheckedSubmission } from "../http/checked-submission.ts";
import type { HttpContext } from "../http/context.ts";
import { newJobId } from "../http/job-answers.ts";
import { idempotencyKeyOf, jobOfKey, placeChecked } from "../http/submit.ts";
import { brakeSubmissions, priceOfJob, reserveFirst } from "../http/submit-limits.ts";
import { Upload, Uploads } from "../http/uploads.ts";
import type { JobView } from "../job/contract.ts";
import { fromR2, inputKey } from "../results/job-files.ts";
import { fingerprintText } from "./core/fingerprint.ts";
import { Hold } from "./hold.ts";

const READ_BOUND_MS = 30_000;

/** The jobs of one request, in their order. */
export interface PlacedRequest {
  readonly client: string;
  readonly jobs: readonly JobView[];
  /** Null when the answer is not held, and when an Idempotency-Key says which request is a repetition. */
  readonly hold: Hold | null;
}

/** A request of several jobs has several keys; no header holds a line break, so none of them is another request's. */
function keyOfPart(key: string, part: number): string {
  return part === 0 ? key : `${key}\n${part}`;
}

/** The images again, under another job: a job has its own inputs. */
async function copied(c: HttpContext, from: Uploads, to: Uploads, checked: CheckedSubmission) {
  const sources: CheckedSubmission["sources"][number][] = [];
  for (const source of checked.sources) {
    const { target } = from;
    if (!(source instanceof Upload) || !source.check.ok || target === null) {
      sources.push(source);
      continue;
    }
    const key = inputKey(target.id, source.check.image.sha256);
    const object = await fromR2(c.env.RESULTS.get(key));
    if (object === null) throw new ProblemError("overloaded", "An image was lost on its way; send the request again.");
    sources.push(await to.take(new Uint8Array(await within(READ_BOUND_MS, "the bucket", object.arrayBuffer()))));
  }
  return { ...checked, sources };
}

async function placeCopy(c: HttpContext, client: string, key: string, from: Uploads, checked: CheckedSubmission) {
  const uploads = new Uploads(c, client, key);
  try {
    return await placeChecked(c, client, key, await copied(c, from, uploads, checked), uploads);
  } catch (error) {
    uploads.drop();
    throw error;
  }
}

/**
 * Reserves the money of every part before the first one is placed, so that a request for which the limit has no room makes no image.
 * Placing a part reserves under the same id again, which counts once. What is reserved for parts that are not placed is freed when
 * the reservation ends.
 */
async function reserveAll(c: HttpContext, client: string, key: string, parts: readonly CheckedSubmission[]) {
  for (const [index, { model, request }] of parts.entries()) {
    const { unitMicros } = priceOfJob(c.get("config"), model, request);
    await reserveFirst(c, client, { id: newJobId(client, keyOfPart(key, index), 0), model, n: request.n, unitMicros });
  }
}

/**
 * Places a request of a compatible API: the jobs that `read` finds in it, or those of an earlier identical request whose answer
 * was not delivered. `route` names what is asked for; the same request to another route is another one.
 */
export async function placeRequest(
  c: HttpContext,
  route: { readonly name: string; readonly isHeld: boolean },
  read: (uploads: Uploads) => Promise<readonly CheckedSubmission[]>,
): Promise<PlacedRequest> {
  const client = submitterOf(c, requireAsker(c));
  const givenKey = idempotencyKeyOf(c);
  brakeSubmissions(c, client);
  const ownKey = givenKey ?? crypto.randomUUID();
  const uploads = new Uploads(c, client, ownKey);
  let hold: Hold | null = null;
  const jobs: JobView[] = [];
  try {
    const parts = await read(uploads);
    if (route.isHeld && givenKey === null) {
      hold = await Hold.begin(c, client, fingerprintText(route.name, parts), ownKey);
    }
    const key = hold?.key ?? ownKey;
    if (parts.length > 1) await reserveAll(c, client, key, parts);
    for (const [index, checked] of parts.entries()) {
      const partKey = keyOfPart(key, index);
      if (partKey === ownKey) jobs.push((await placeChecked(c, client, partKey, checked, uploads)).view);
      else {
        const known = key === ownKey ? null : await jobOfKey(c, client, partKey);
        jobs.push(known ?? (await placeCopy(c, client, partKey, uploads, checked)).view);
      }
    }
    // The jobs of an earlier request have images of their own.
    if (key !== ownKey) uploads.drop();
    return { client, jobs, hold };
  } catch (error) {
    uploads.drop();
    const isRefused = error instanceof ProblemError && jobs.length === 0 && hold?.key === ownKey;
    if (isRefused) await hold?.delivered();
    else await hold?.undelivered();
    throw error;
  }
}
