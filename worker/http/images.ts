import { VARIANT_FORMATS, VARIANT_WIDTHS } from "../../schemas/paths.ts";
import { sharesWithOrigins } from "../auth/authenticate.ts";
import type { StoredImage } from "../results/contract.ts";
import { inputKey } from "../results/job-files.ts";
import { imageFileName, type ServedImage, serveImage } from "../results/serve.ts";
import { type Variant, variantOf } from "../results/variants/variant.ts";
import { contentTypeOf, findOrMakeVariant, variantTag } from "../results/variants/variants.ts";
import { jobStub } from "../stubs.ts";
import { ProblemError } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { jobIdOf, jobProblem } from "./job-answers.ts";
import { headers } from "./openapi/answers.ts";
import { choice, type QueryOf, queryProblem, whole } from "./query.ts";
import { linkRoute, type Route } from "./route.ts";

/** How long a private cache may keep an image. Its viewer may keep a copy anyway. */
const MAX_AGE_SECONDS = 6 * 3600;

/** Seconds after which a variant that could not be made yet is worth asking for again. */
const BUSY_RETRY_AFTER = "5";

function indexOf(c: HttpContext): number {
  const text = c.req.param("index") ?? "";
  // No job has an image past four digits. A number has one spelling, so `01` is no address.
  if (/^(0|[1-9]\d{0,3})$/.test(text)) return Number(text);
  throw jobProblem({ ok: false, code: "image_not_found" });
}

const VARIANT_QUERY = {
  w: choice(
    VARIANT_WIDTHS,
    "Of a variant: its width in pixels. An image is never made larger, and none gets more than 2 100 000 pixels.",
  ),
  format: choice(VARIANT_FORMATS, "Of a variant: `webp` when absent."),
  q: whole(
    { min: 1, max: 100, fallback: null },
    "Of a webp or jpeg variant: its quality, 75 when absent, rounded up to a multiple of 5.",
  ),
};

/** The requested variant; null for the original. */
function askedVariant({ w, format, q }: QueryOf<typeof VARIANT_QUERY>): Variant | null {
  if (w === null && format === null && q === null) return null;
  if (format === "png" && q !== null) throw queryProblem("q", "is of webp and jpeg: a png loses nothing");
  return variantOf(w, format ?? "webp", q);
}

type Located = Pick<StoredImage, "key" | "contentType" | "bytes" | "sha256">;

function servedVariant(c: HttpContext, image: Located, variant: Variant): ServedImage {
  return {
    contentType: contentTypeOf(variant),
    version: variantTag(image, variant),
    locate: async () => {
      // An optional binding: the generated Env knows only the bindings of wrangler.toml.
      const { IMAGES: images } = c.env as Env & { readonly IMAGES?: ImagesBinding };
      const keepAlive = (work: Promise<unknown>) => c.executionCtx.waitUntil(work.catch(() => undefined));
      const answer = await findOrMakeVariant(
        { bucket: c.env.RESULTS, images: images ?? null, keepAlive },
        image,
        variant,
      );
      switch (answer.kind) {
        case "stored":
          return answer;
        case "gone":
          return null;
        case "refused":
          throw new ProblemError(
            "no_variant",
            `The image ${answer.reason}. The original is at the same address without w, format and q.`,
          );
        case "busy":
          throw new ProblemError("overloaded", "Many variants are being made. Ask again.", {
            headers: { "Retry-After": BUSY_RETRY_AFTER },
          });
        default:
          throw new Error(`no such answer: ${JSON.stringify(answer satisfies never)}`);
      }
    },
  };
}

/** A stored image of a job, or a variant of it. `byLink`: a signed link opened it. */
async function imageAnswer(
  c: HttpContext,
  image: Located,
  variant: Variant | null,
  name: { readonly prompt: string; readonly jobId: string; readonly index: number },
  byLink: boolean,
): Promise<Response> {
  const { key, bytes } = image;
  const served: ServedImage =
    variant === null
      ? { contentType: image.contentType, version: image.sha256, locate: async () => ({ key, bytes }) }
      : servedVariant(c, image, variant);
  const fileName = imageFileName(name.prompt, name.jobId, name.index, served.contentType);
  const answer = await serveImage(c.env.RESULTS, served, c.req.raw, { fileName, maxAgeSeconds: MAX_AGE_SECONDS });
  switch (answer.kind) {
    case "gone":
      throw jobProblem({ ok: false, code: "image_not_found" });
    case "precondition_failed":
      throw new ProblemError("precondition_failed", "If-Match names another image than this.");
    case "range_not_satisfiable":
      throw new ProblemError("range_not_satisfiable", `The image has ${answer.bytes} bytes.`, {
        headers: answer.headers,
      });
    case "response": {
      // A link also serves `<img>` on pages of other origins; what needs a session is for our own pages.
      const isShared = byLink || sharesWithOrigins(c.get("config"));
      answer.response.headers.set("Cross-Origin-Resource-Policy", isShared ? "cross-origin" : "same-origin");
      return answer.response;
    }
    default:
      throw new Error(`no such answer: ${JSON.stringify(answer satisfies never)}`);
  }
}

const IMAGE_ANSWERS = {
  "200": {
    description: "The image.",
    headers: headers("ETag", "Content-Disposition", "Accept-Ranges"),
    content: { "image/*": {} },
  },
  "206": {
    description: "A part of it.",
    headers: headers("ETag", "Content-Disposition", "Accept-Ranges", "Content-Range"),
    content: { "image/*": {} },
  },
  "304": { description: "Unchanged.", headers: headers("ETag") },
} as const;

const IMAGE_PROBLEMS = [
  "job_not_found",
  "job_gone",
  "image_not_found",
  "precondition_failed",
  "range_not_satisfiable",
] as const;

/** The images that a job made and those that it was given, by their signed links or for viewers of the job. */
export const IMAGE_ROUTES: readonly Route[] = [
  linkRoute(
    {
      method: "GET",
      path: "/api/jobs/:id/images/:index",
      id: "getImage",
      tag: "Jobs",
      summary: "One stored image, or a smaller variant of it",
      description:
        "With ETag and ranges. The bytes never change. With `w`, `format` or `q` it is a variant: made of a PNG, JPEG or WebP when first asked for, kept beside the image and removed with it. A variant is upright whatever the original's Exif orientation, keeps its RGB colour profile and no other metadata; a JPEG's transparent parts are white. A signed link opens the variants too.",
      query: VARIANT_QUERY,
      answers: IMAGE_ANSWERS,
      problems: [...IMAGE_PROBLEMS, "no_variant"],
    },
    (c) => ({ kind: "image", jobId: jobIdOf(c), index: indexOf(c) }),
    async (c, { viewer, linkEndsAtMs }, query) => {
      const jobId = jobIdOf(c);
      const index = indexOf(c);
      const variant = askedVariant(query);
      const found = await jobStub(c.env, jobId).image(viewer, index);
      if (!found.ok) throw jobProblem(found);
      return await imageAnswer(c, found, variant, { prompt: found.prompt, jobId, index }, linkEndsAtMs !== null);
    },
  ),
  linkRoute(
    {
      method: "GET",
      path: "/api/jobs/:id/inputs/:index",
      id: "getInput",
      tag: "Jobs",
      summary: "One uploaded input image",
      description:
        "The index is that of `request.images`. An image that was given by its address is not here. Variants as of `images`.",
      query: VARIANT_QUERY,
      answers: IMAGE_ANSWERS,
      problems: [...IMAGE_PROBLEMS, "no_variant"],
    },
    (c) => ({ kind: "input", jobId: jobIdOf(c), index: indexOf(c) }),
    async (c, { viewer, linkEndsAtMs }, query) => {
      const jobId = jobIdOf(c);
      const index = indexOf(c);
      const variant = askedVariant(query);
      const found = await jobStub(c.env, jobId).view(viewer);
      if (!found.ok) throw jobProblem(found);
      const { request } = found.view;
      const input = request.images[index];
      if (input?.kind !== "upload") throw jobProblem({ ok: false, code: "image_not_found" });
      const image = { ...input, key: inputKey(jobId, input.sha256) };
      const name = { prompt: `input ${request.prompt}`, jobId, index };
      return await imageAnswer(c, image, variant, name, linkEndsAtMs !== null);
    },
  ),
];
