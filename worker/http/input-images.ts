import type { InputImage, Warning } from "../../schemas/job.ts";
import { MAX_IMAGE_BYTES } from "../../schemas/submit.ts";
import type { JobRefusal, Submission } from "../job/contract.ts";
import { checkInputImage, putInputImage, type UploadedImage } from "../results/input-image.ts";
import { inputKey } from "../results/keys.ts";
import { jobStub } from "../stubs.ts";
import type { CheckedSubmission } from "./checked-submission.ts";
import { parseImageSource } from "./core/image-source.ts";
import type { FormFile } from "./core/normalise-submit.ts";
import { ProblemError } from "./problem.ts";

/** An uploaded image that was looked at, and its bytes on their way to R2. */
export interface InputFile {
  readonly image: UploadedImage;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface ReadInputs {
  readonly images: readonly InputImage[];
  readonly files: readonly InputFile[];
  readonly warnings: readonly Warning[];
}

function refused(code: "invalid_request" | "image_too_large", path: string, message: string): ProblemError {
  return new ProblemError(code, `The image ${path} ${message}.`, { errors: [{ path, message }] });
}

/** The bytes of base64 text; null when it is none. Size is judged before anything is decoded. */
function decode(base64: string, path: string): Uint8Array<ArrayBuffer> {
  if (base64.length > (MAX_IMAGE_BYTES / 3) * 4 + 1024) {
    throw refused("image_too_large", path, `has more than ${MAX_IMAGE_BYTES / 1024 / 1024} MB`);
  }
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    throw refused("invalid_request", path, "is not base64");
  }
}

async function bytesOf(
  source: string | FormFile,
  path: string,
): Promise<Uint8Array<ArrayBuffer> | { readonly url: string }> {
  if (typeof source !== "string") return new Uint8Array(await source.file.arrayBuffer());
  const parsed = parseImageSource(source);
  switch (parsed.kind) {
    case "wrong":
      throw refused("invalid_request", path, parsed.message);
    case "url":
      return parsed;
    case "data":
      return decode(parsed.base64, path);
    default:
      throw new Error(`no such source: ${JSON.stringify(parsed satisfies never)}`);
  }
}

/** Looks at each image of a submission: addresses as such, uploads by their bytes. Nothing is fetched or stored. */
export async function readInputs({ sources, pointerOf }: CheckedSubmission): Promise<ReadInputs> {
  const images: InputImage[] = [];
  const files: InputFile[] = [];
  const warnings: Warning[] = [];
  for (const [index, source] of sources.entries()) {
    const path = pointerOf(`/images/${index}`);
    const read = await bytesOf(source, path);
    if ("url" in read) {
      images.push({ kind: "url", url: read.url });
      continue;
    }
    const checked = await checkInputImage(read);
    if (!checked.ok) {
      const code = checked.code === "too_large" ? "image_too_large" : "invalid_request";
      throw refused(code, path, checked.message);
    }
    images.push(checked.image);
    files.push({ image: checked.image, bytes: read });
    warnings.push(...checked.warnings);
  }
  return { images, files, warnings };
}

/** Keeps the uploads under their job, which is submitted after: a job never waits for bytes that may not come. */
export async function storeInputs(bucket: R2Bucket, jobId: string, files: readonly InputFile[]): Promise<void> {
  await Promise.all(files.map(({ image, bytes }) => putInputImage(bucket, jobId, image, bytes)));
}

/** Removes the uploads of a submission that its object refused, but for those that the job of the same key has too. */
export async function discardInputs(
  env: Env,
  submission: Submission,
  files: readonly InputFile[],
  refusal: JobRefusal,
): Promise<void> {
  if (files.length === 0) return;
  const kept = new Set<string>();
  if (refusal.code === "idempotency_key_reused") {
    const first = await jobStub(env, submission.id).view(submission.client);
    if (!first.ok) return;
    for (const image of first.view.request.images) if (image.kind === "upload") kept.add(image.sha256);
  }
  const unused = files.map(({ image }) => image.sha256).filter((sha256) => !kept.has(sha256));
  await env.RESULTS.delete(unused.map((sha256) => inputKey(submission.id, sha256)));
}
