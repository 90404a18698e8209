import { within } from "../bounds.ts";
import { requireAsker, submitterOf } from "../http/access.ts";
import { ProblemError } from "../http/answers.ts";
import type { CheckedSubmission } from "../http/checked-submission.ts";
import type { HttpContext } from "../http/context.ts";
import {
  idempotencyKeyOf,
  jobOfKey,
  placeReady,
  type ReadySubmission,
  readySubmission,
  takeRoom,
} from "../http/submit.ts";
import { brakeSubmissions, priceOfJob, reserveParts, returnPending } from "../http/submit-limits.ts";
import { Upload, Uploads } from "../http/uploads.ts";
import type { JobView } from "../job/contract.ts";
import { fromR2, inputKey } from "../results/job-files.ts";
import { newJobId } from "../stubs.ts";
import { fingerprintText } from "./core/fingerprint.ts";
import { Hold } from "./hold.ts";
import { withHeaders } from "./protocol.ts";

const READ_BOUND_MS = 30_000;

/** The result of `read`. */
export interface ReadRequest {
  readonly parts: readonly CheckedSubmission[];
  /** The client's own name for its end user. */
  readonly user: string | null;
}

/** The jobs of one request, in order. */
export interface PlacedRequest {
  readonly client: string;
  readonly jobs: readonly JobView[];
  /** Null when the answer is not held, and when an Idempotency-Key identifies repetitions. */
  readonly hold: Hold | null;
  /** Headers of every answer about the jobs. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A request of several jobs needs several keys. No header holds a line break, so none of them equals another request's key. */
function keyOfPart(key: string, part: number): string {
  return part === 0 ? key : `${key}\n${part}`;
}

/** Stores the images again for another job, because each job has its own inputs. */
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

/** One request while its jobs are placed. */
class Placing {
  readonly #c: HttpContext;
  readonly #client: string;
  /** The images of the body. They belong to the first job, unless the request turns out to be a repetition. */
  readonly uploads: Uploads;
  readonly #ownKey: string;
  readonly #copies: Uploads[] = [];
  /** The jobs that existed already or were placed, by part. */
  readonly jobs: JobView[] = [];
  isReplayed = true;

  constructor(c: HttpContext, client: string, ownKey: string) {
    this.#c = c;
    this.#client = client;
    this.#ownKey = ownKey;
    this.uploads = new Uploads(c, client, ownKey);
  }

  /** Checks a part. Its job has its own inputs: uploads are stored again for each job. */
  async #ready(partKey: string, checked: CheckedSubmission, parts: number): Promise<ReadySubmission> {
    if (partKey === this.#ownKey) {
      return await readySubmission(this.#c, this.#client, partKey, checked, this.uploads, parts);
    }
    const uploads = new Uploads(this.#c, this.#client, partKey);
    this.#copies.push(uploads);
    const own = await copied(this.#c, this.uploads, uploads, checked);
    return await readySubmission(this.#c, this.#client, partKey, own, uploads, parts);
  }

  /**
   * Places all parts, or none: each is checked before any of them is counted, and their places and money are taken together.
   */
  async place(key: string, parts: readonly CheckedSubmission[]): Promise<void> {
    const [c, client] = [this.#c, this.#client];
    const isRepetition = key !== this.#ownKey;
    const ready: (JobView | ReadySubmission)[] = [];
    for (const [index, checked] of parts.entries()) {
      const partKey = keyOfPart(key, index);
      const known = isRepetition ? await jobOfKey(c, client, partKey) : null;
      ready.push(known ?? (await this.#ready(partKey, checked, parts.length)));
    }
    const missing = ready.filter((part): part is ReadySubmission => "checked" in part);
    if (missing.length === 0) return void this.jobs.push(...ready.filter((part): part is JobView => "id" in part));
    const room = await takeRoom(c, client, missing);
    let placed = 0;
    let release: Awaited<ReturnType<typeof reserveParts>> | null = null;
    const idOf = ({ key: partKey }: ReadySubmission) => newJobId(c.env.JOBS, client, partKey, 0);
    try {
      if (missing.length > 1) {
        release = await reserveParts(
          c,
          client,
          missing.map((part) => {
            const { model, request } = part.checked;
            const { unitMicros } = priceOfJob(c.get("config"), model, request);
            return { id: idOf(part), model, n: request.n, unitMicros };
          }),
        );
      }
      for (const part of ready) {
        if ("id" in part) {
          this.jobs.push(part);
          continue;
        }
        placed += 1;
        const { view, replayed } = await placeReady(c, client, part, room);
        this.jobs.push(view);
        this.isReplayed &&= replayed;
      }
    } finally {
      const left = missing.slice(placed);
      if (left.length > 0) {
        if (room !== null && !(room instanceof ProblemError)) returnPending(room, left.length);
        // A reservation that cannot be released ends by itself.
        const released = release?.(left.map(idOf)).catch((error: unknown) => {
          console.error({ event: "parts_not_released", client, error: String(error) });
        });
        await released;
      }
    }
  }

  /** Removes all images that no job has. */
  drop(): void {
    for (const uploads of [this.uploads, ...this.#copies]) uploads.drop();
  }

  headers(): Record<string, string> {
    return this.jobs.length === 0 ? {} : { "X-Darkroom-Job": this.jobs.map(({ id }) => id).join(", ") };
  }
}

/**
 * Places a request of a compatible API: the jobs that `read` finds in it, or those of an earlier identical request whose
 * answer was not delivered. `route` is part of the identity: the same request to another route is a different one.
 */
export async function placeRequest(
  c: HttpContext,
  route: { readonly name: string; readonly isHeld: boolean },
  read: (uploads: Uploads) => Promise<ReadRequest>,
): Promise<PlacedRequest> {
  const receivedAtMs = Date.now();
  const client = submitterOf(c, requireAsker(c));
  const givenKey = idempotencyKeyOf(c);
  brakeSubmissions(c, client);
  const ownKey = givenKey ?? crypto.randomUUID();
  const placing = new Placing(c, client, ownKey);
  let hold: Hold | null = null;
  try {
    const { parts, user } = await read(placing.uploads);
    if (route.isHeld && givenKey === null) {
      hold = await Hold.begin(c, client, fingerprintText(route.name, user, parts), ownKey, receivedAtMs);
    }
    const key = hold?.key ?? ownKey;
    const placed = placing.place(key, parts);
    // When a client hangs up, its request ends at once. What was stored and reserved for it is completed all the same.
    c.executionCtx.waitUntil(placed.catch(() => undefined));
    await placed;
    // The jobs of an earlier request have their own images.
    if (key !== ownKey) placing.uploads.drop();
    const replayed = givenKey !== null && placing.isReplayed ? { "Idempotency-Replayed": "true" } : {};
    return { client, jobs: placing.jobs, hold, headers: { ...placing.headers(), ...replayed } };
  } catch (error) {
    placing.drop();
    const isRefused = error instanceof ProblemError && placing.jobs.length === 0 && hold?.key === ownKey;
    if (isRefused) await hold?.delivered();
    else await hold?.undelivered();
    throw withHeaders(c, error, placing.headers());
  }
}
