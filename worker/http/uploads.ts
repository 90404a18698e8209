import type { InputImage, Warning } from "../../schemas/job.ts";
import { MAX_IMAGE_BYTES } from "../../schemas/submit.ts";
import { within } from "../bounds.ts";
import { checkInputSides } from "../dashscope/check-request.ts";
import type { ModelFacts } from "../dashscope/models.ts";
import {
  checkInputImage,
  type InputCheck,
  putInputImage,
  tooLarge,
  type UploadedImage,
} from "../results/input-image.ts";
import { inputKey } from "../results/job-files.ts";
import { budgetOf } from "../spend/prices.ts";
import { catalogStub, jobStub, newJobId } from "../stubs.ts";
import { ProblemError } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { GivenImage } from "./core/given-fields.ts";
import type { OwnImage } from "./core/image-address.ts";
import { jobProblem } from "./job-answers.ts";

/** How often the job of one key may have been deleted and submitted again. */
export const MAX_GENERATIONS = 100;
/** From the first image to the submission: enough for a slow phone to send the largest body. */
const UPLOAD_MS = 10 * 60_000;
/** Enough for one image of 10 MB while the bucket is slow. */
const PUT_BOUND_MS = 30_000;

/** An image whose bytes came with the body, and what was found in them. */
export class Upload extends GivenImage {
  readonly key: string;
  readonly check: InputCheck;

  constructor(check: InputCheck, index: number) {
    super();
    this.check = check;
    this.key = check.ok ? check.image.sha256 : `refused ${index}`;
  }
}

/** The job that a submission's uploads are stored for. */
interface Target {
  readonly id: string;
  readonly generation: number;
  /** The job of this key exists already, with its images: nothing is stored again. */
  readonly exists: boolean;
}

/**
 * The images of one request, each checked and stored as soon as its bytes are there, so that one at a time is in memory. They
 * are stored under the id of a job that is not submitted yet. Its object records them before the first one is stored, and
 * removes them when no submission follows: after any crash no image is left without a job.
 */
export class Uploads {
  readonly #c: HttpContext;
  readonly #client: string;
  readonly #idempotencyKey: string | null;
  readonly #holder = crypto.randomUUID();
  readonly #stored = new Set<string>();
  /** How many `put`s failed or were out of time: the bucket may carry them out later. */
  #unanswered = 0;
  #count = 0;
  #untilMs = 0;
  #target: Target | null = null;

  constructor(c: HttpContext, client: string, idempotencyKey: string | null) {
    this.#c = c;
    this.#client = client;
    this.#idempotencyKey = idempotencyKey;
  }

  /** Null while nothing is stored. */
  get target(): (Target & { readonly untilMs: number }) | null {
    return this.#target === null ? null : { ...this.#target, untilMs: this.#untilMs };
  }

  /** Checks an image by its bytes, and stores it when it is one. */
  async take(bytes: Uint8Array<ArrayBuffer>): Promise<Upload> {
    const check = await checkInputImage(bytes);
    if (check.ok && !this.#stored.has(check.image.sha256)) {
      this.#target ??= await this.#expect();
      const { id, exists } = this.#target;
      if (Date.now() > this.#untilMs) throw jobProblem({ ok: false, code: "upload_timed_out" });
      if (!exists) await this.#store(id, check.image, bytes);
      this.#stored.add(check.image.sha256);
    }
    return this.refused(check);
  }

  async #store(jobId: string, image: UploadedImage, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#unanswered += 1;
    try {
      await within(PUT_BOUND_MS, "the bucket", putInputImage(this.#c.env.RESULTS, jobId, image, bytes));
    } catch (error) {
      console.error({ event: "upload_not_stored", jobId, error: String(error) });
      const detail = "The image storage did not take an image; send the request again.";
      throw new ProblemError("overloaded", detail, { headers: { "Retry-After": "1" } });
    }
    this.#unanswered -= 1;
  }

  /** An image that is known to be unusable, and why. */
  refused(check: InputCheck): Upload {
    this.#count += 1;
    return new Upload(check, this.#count);
  }

  /** A stored image of one of the client's own jobs, treated as if it had been uploaded again; null when there is none. */
  async takeOwn({ jobId, kind, index }: OwnImage): Promise<Upload | null> {
    const key = await this.#keyOf(jobId, kind, index);
    const object = key === null ? null : await within(PUT_BOUND_MS, "the bucket", this.#c.env.RESULTS.get(key));
    if (object === null) return null;
    if (object.size > MAX_IMAGE_BYTES) {
      await object.body.cancel();
      return this.refused(tooLarge(object.size));
    }
    return await this.take(new Uint8Array(await within(PUT_BOUND_MS, "the bucket", object.arrayBuffer())));
  }

  async #keyOf(jobId: string, kind: OwnImage["kind"], index: number): Promise<string | null> {
    const job = jobStub(this.#c.env, jobId);
    if (kind === "images") {
      const found = await job.image(this.#client, index);
      return found.ok ? found.key : null;
    }
    const found = await job.view(this.#client);
    const input = found.ok ? found.view.request.images[index] : undefined;
    return input?.kind === "upload" ? inputKey(jobId, input.sha256) : null;
  }

  /**
   * Announces the uploads to the object of the coming job; for a key whose jobs were deleted, to the object of the next generation.
   * An object may have forgotten a deleted job that the catalog still refuses money for.
   */
  async #expect(): Promise<Target> {
    this.#untilMs = Date.now() + UPLOAD_MS;
    for (let generation = 0; generation < MAX_GENERATIONS; generation++) {
      const id = newJobId(this.#c.env.JOBS, this.#client, this.#idempotencyKey, generation);
      const state = await jobStub(this.#c.env, id).expectUploads(this.#holder, this.#untilMs);
      if (state === "gone" || (state === "new" && (await this.#hasNoMoney(id)))) continue;
      return { id, generation, exists: state === "exists" };
    }
    throw keyUsedUp();
  }

  /** Whether the client's spend limit refuses the job because one of the same id was removed. A job without a key has an id of its own. */
  async #hasNoMoney(jobId: string): Promise<boolean> {
    if (this.#idempotencyKey === null || budgetOf(this.#c.get("config"), this.#client) === null) return false;
    // During a deploy a catalog may still be of the version before, which has no such call.
    return await catalogStub(this.#c.env, this.#client)
      .isRemoved(jobId)
      .catch(() => false);
  }

  /**
   * The request made no job: its object removes what was stored, after the answer. After a `put` without an answer the object
   * does so later by its own alarm, when the time for uploads has ended.
   */
  drop(): void {
    const target = this.#target;
    if (target === null || target.exists || this.#unanswered > 0) return;
    const dropped = jobStub(this.#c.env, target.id).dropUploads(this.#holder);
    this.#c.executionCtx.waitUntil(
      // The object removes them later by its own alarm.
      dropped.catch((error: unknown) => console.error({ event: "uploads_not_dropped", error: String(error) })),
    );
  }
}

export function keyUsedUp(): ProblemError {
  return new ProblemError("job_gone", "The jobs of this Idempotency-Key were deleted too often; use a new key.");
}

/** The problem of an image that cannot be used. `path` is where the client gave it. */
export function imageProblem(code: "invalid_request" | "image_too_large", path: string, message: string): ProblemError {
  return new ProblemError(code, `The image ${path} ${message}.`, { errors: [{ path, message }] });
}

/** An upload in the form that its job keeps. Throws a problem when the model cannot use it. */
export function uploadedImage(
  upload: Upload,
  path: string,
  model: ModelFacts,
): { image: InputImage; warnings: readonly Warning[] } {
  const { check } = upload;
  if (!check.ok) {
    throw imageProblem(check.code === "too_large" ? "image_too_large" : "invalid_request", path, check.message);
  }
  const sides = checkInputSides(model, check.image);
  if (sides.error !== null) throw imageProblem("invalid_request", path, sides.error);
  return { image: check.image, warnings: [...check.warnings, ...sides.warnings] };
}
