import type { MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Workflow } from "../../schemas/paths.ts";
import { MAX_BODY_BYTES } from "../../schemas/submit.ts";
import { formFields } from "./core/form-fields.ts";
import type { Found } from "./core/given-fields.ts";
import { jsonFields } from "./core/normalise-submit.ts";
import type { HttpContext, HttpEnv } from "./http-env.ts";
import { ProblemError } from "./problem.ts";

/** The longest prompts, twice, in the widest characters, with room for metadata. */
const MAX_TEXT_BODY_BYTES = 1024 * 1024;

/** More than any token, and far less than would hurt. */
const MAX_SMALL_BODY_BYTES = 16 * 1024;

function sizeText(bytes: number): string {
  return bytes >= 1024 * 1024 ? `${Math.round(bytes / 1024 / 1024)} MB` : `${Math.round(bytes / 1024)} KB`;
}

/** A body whose connection broke, or that is no HTTP, is its sender's doing and no failure of ours. */
function brokenBody(): ProblemError {
  return new ProblemError("malformed_body", "The body broke off before its end.");
}

/** What is declared too large is not read at all. */
function bodyLimitOf(what: string, maxSize: number): MiddlewareHandler<HttpEnv> {
  const limit = bodyLimit({
    maxSize,
    onError: () => {
      throw new ProblemError("body_too_large", `A body of ${what} may have ${sizeText(maxSize)} at most.`);
    },
  });
  return async (c, next) => {
    // Apart from `next`, so that whatever else is thrown came from the reading.
    await limit(c, async () => undefined).catch((error: unknown) => {
      throw error instanceof ProblemError ? error : brokenBody();
    });
    await next();
  };
}

/** Refuses a body that is larger than anything this workflow could need. */
export function submitBodyLimit(workflow: Workflow) {
  return bodyLimitOf(workflow, workflow === "image-from-text" ? MAX_TEXT_BODY_BYTES : MAX_BODY_BYTES);
}

/** For the few other routes that read a body. */
export const smallBodyLimit = bodyLimitOf("this route", MAX_SMALL_BODY_BYTES);

async function readJson(c: HttpContext): Promise<Found> {
  const bytes = await c.req.raw.arrayBuffer().catch(() => {
    throw brokenBody();
  });
  if (bytes.byteLength === 0) throw new ProblemError("malformed_json", "The body is empty.");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new ProblemError("malformed_json", "The body is not UTF-8.");
  }
  try {
    return jsonFields(JSON.parse(text));
  } catch (error) {
    // V8 quotes the text around the mistake; an image's base64 or a prompt has no place in an answer.
    const where = /position \d+( \(line \d+ column \d+\))?/.exec(String(error))?.[0];
    throw new ProblemError("malformed_json", `The body is not JSON${where === undefined ? "" : `: see ${where}`}.`);
  }
}

async function readForm(c: HttpContext): Promise<Found> {
  let form: FormData;
  try {
    form = await c.req.raw.formData();
  } catch {
    throw new ProblemError(
      "malformed_body",
      "The body is not the multipart/form-data that its Content-Type announces.",
    );
  }
  return formFields(form);
}

/** The fields of a submission's body, JSON or form. */
export async function readSubmitFields(c: HttpContext): Promise<Found> {
  const encoding = c.req.header("content-encoding");
  if (encoding !== undefined && encoding !== "identity") {
    throw new ProblemError(
      "unsupported_media_type",
      `Send the body as it is, not in Content-Encoding ${encoding.slice(0, 40)}.`,
      // RFC 9110 15.5.16: what of encodings is taken.
      { headers: { "Accept-Encoding": "identity" } },
    );
  }
  const mediaType = (c.req.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (mediaType === "application/json" || /^application\/[\w.-]+\+json$/.test(mediaType)) return await readJson(c);
  if (mediaType === "multipart/form-data") return await readForm(c);
  const given = mediaType === "" ? "No Content-Type was sent" : `The Content-Type is ${mediaType.slice(0, 80)}`;
  const curl =
    mediaType === "application/x-www-form-urlencoded" ? " With curl: --json '{…}', or -F for each field." : "";
  throw new ProblemError(
    "unsupported_media_type",
    `${given}; a submission is application/json or multipart/form-data.${curl}`,
    { headers: { "Accept-Post": "application/json, multipart/form-data" } },
  );
}
