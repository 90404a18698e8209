import { VARIANT_FORMATS, VARIANT_WIDTHS, type VariantFormat, type VariantWidth } from "../../schemas/paths.ts";
import { sharesWithOrigins } from "../auth/authenticate.ts";
import type { StoredImage } from "../results/contract.ts";
import { imageFileName } from "../results/image-file-name.ts";
import { type ServedImage, serveImage } from "../results/serve.ts";
import { type Variant, variantOf } from "../results/variants/variant.ts";
import { contentTypeOf, findOrMakeVariant, variantTag } from "../results/variants/variants.ts";
import type { HttpContext } from "./http-env.ts";
import { jobProblem } from "./job-problem.ts";
import { ProblemError } from "./problem.ts";
import { queryProblem, queryValue, wholeNumberOf } from "./query.ts";

/** A private cache may keep an image for as long as a link lasts at least; whoever may see it may keep it anyway. */
const MAX_AGE_SECONDS = 6 * 3600;

/** Seconds after which it is worth asking for a variant again that waited in vain. */
const BUSY_RETRY_AFTER = "5";

function wordOf<Word extends string>(c: HttpContext, key: string, words: readonly Word[]): Word | null {
  const given = queryValue(c, key);
  if (given === null) return null;
  const word = words.find((known) => known === given);
  if (word === undefined) throw queryProblem(key, `must be one of ${words.join(", ")}`);
  return word;
}

/** The variant that the query asks for; null: the original. */
function askedVariant(c: HttpContext): Variant | null {
  const width = wordOf(
    c,
    "w",
    VARIANT_WIDTHS.map((known) => `${known}` as const),
  );
  const format: VariantFormat | null = wordOf(c, "format", VARIANT_FORMATS);
  const quality = wholeNumberOf(c, "q", 1, 100);
  if (width === null && format === null && quality === null) return null;
  if (format === "png" && quality !== null) throw queryProblem("q", "is of webp and jpeg: a png loses nothing");
  // One of VARIANT_WIDTHS, as a number again.
  return variantOf(width === null ? null : (Number(width) as VariantWidth), format ?? "webp", quality);
}

function servedVariant(c: HttpContext, image: Located, variant: Variant): ServedImage {
  return {
    contentType: contentTypeOf(variant),
    version: variantTag(image, variant),
    locate: async () => {
      // Bound by deployments that want it; the generated Env knows the bindings of wrangler.toml only.
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

type Located = Pick<StoredImage, "key" | "contentType" | "bytes" | "sha256">;

/** A stored image of a job, or the variant of it that the query asks for. `byLink`: whoever asks showed a signed link. */
export async function imageAnswer(
  c: HttpContext,
  image: Located,
  name: { readonly prompt: string; readonly jobId: string; readonly index: number },
  byLink: boolean,
): Promise<Response> {
  const variant = askedVariant(c);
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
      // A link is for `<img>` on pages of other origins too; what needs credentials is for our own.
      const isShared = byLink || sharesWithOrigins(c.get("config"));
      answer.response.headers.set("Cross-Origin-Resource-Policy", isShared ? "cross-origin" : "same-origin");
      return answer.response;
    }
    default:
      throw new Error(`no such answer: ${JSON.stringify(answer satisfies never)}`);
  }
}
