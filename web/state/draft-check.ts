import { type ModelInfo, sizesFor } from "../../schemas/limits.ts";
import { MAX_DEADLINE_SECONDS, MAX_IMAGE_BYTES, MAX_SEED } from "../../schemas/submit.ts";
import type { Draft, DraftImage } from "./draft.ts";
import { MOST_ATTEMPTS, parseDeadline, parseMaxAttempts, parseSeed } from "./draft-request.ts";
import { sizeProblem } from "./sizes.ts";

export type DraftField =
  | "client"
  | "prompt"
  | "negativePrompt"
  | "size"
  | "n"
  | "seed"
  | "images"
  | "maxAttempts"
  | "deadlineSeconds";

/** A problem of a draft before it is sent. `error` stops it; `warning` says what would happen. */
export interface Finding {
  readonly field: DraftField;
  readonly level: "error" | "warning";
  readonly message: string;
}

/** How many characters of the cut text are quoted. */
const CUT_SHOWN_CHARS = 60;

/** The types that upstream takes as input images (dashscope.md, 2.1). */
export const INPUT_TYPES: readonly string[] = [
  "image/png",
  "image/jpeg",
  "image/webp",
  "image/gif",
  "image/bmp",
  "image/tiff",
];

/** All findings on a draft, errors first. An empty prompt and missing images are reported only when `submitting`. */
export function checkDraft(draft: Draft, model: ModelInfo, submitting: boolean): Finding[] {
  const findings: Finding[] = [];
  const error = (field: DraftField, message: string) => findings.push({ field, level: "error", message });

  if (submitting && draft.prompt.trim() === "") error("prompt", "Say what to draw.");
  if (parseSeed(draft.seed) === "invalid" && model.supports.seed) {
    error("seed", `A seed is a whole number from 0 to ${MAX_SEED}; leave it empty for a random one.`);
  }
  if (parseMaxAttempts(draft.maxAttempts) === "invalid") {
    error("maxAttempts", `Attempts are a whole number from 1 to ${MOST_ATTEMPTS}; leave it empty for the usual one.`);
  }
  if (parseDeadline(draft.deadline) === "invalid") {
    const days = MAX_DEADLINE_SECONDS / 86_400;
    error("deadlineSeconds", `A deadline is from 10 seconds to ${days} days; leave it empty for the usual one.`);
  }
  const sizes = sizesFor(model, draft.workflow);
  if (draft.size !== null && sizes.kind !== "none") {
    const problem = sizeProblem(draft.size, sizes);
    if (problem !== null) error("size", problem);
  }
  if (draft.workflow === "image-from-reference") {
    const { min, max } = model.images;
    if (submitting && draft.images.length < min) {
      error("images", min === 1 ? "Add a reference image." : `Add at least ${min} reference images.`);
    }
    if (draft.images.length > max) {
      error("images", `${model.model} takes at most ${max} ${max === 1 ? "image" : "images"}: remove some.`);
    }
    for (const image of draft.images) {
      const problem = imageProblem(image);
      if (problem !== null) error("images", problem);
    }
  }

  if (draft.workflow === "image-from-reference") {
    for (const image of draft.images) {
      const warning = image.kind === "url" ? farWarning(image.url) : null;
      if (warning !== null) findings.push({ field: "images", level: "warning", message: warning });
    }
  }
  const prompt = cutWarning("prompt", draft.prompt.trim(), model.promptMaxChars);
  if (prompt !== null) findings.push(prompt);
  if (model.supports.negativePrompt) {
    const negative = cutWarning("negativePrompt", draft.negativePrompt.trim(), model.negativePromptMaxChars);
    if (negative !== null) findings.push(negative);
  }
  return findings;
}

/** What is wrong with an input image; null when it may be sent. */
export function imageProblem(image: DraftImage): string | null {
  if (image.kind === "url") return urlProblem(image.url);
  const name = image.kind === "stored" ? "This image" : image.name;
  if (!INPUT_TYPES.includes(image.contentType)) {
    return `${name} is not an image that upstream takes (PNG, JPEG, WebP, GIF, BMP, TIFF).`;
  }
  if (image.bytes > MAX_IMAGE_BYTES) {
    return `${name} is ${bytesWords(image.bytes)}; an image may have ${bytesWords(MAX_IMAGE_BYTES)}.`;
  }
  return null;
}

/** What is wrong with an image's address; null when it may be sent. */
export function urlProblem(url: string): string | null {
  const parsed = URL.parse(url.trim());
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) return "An address starts with https:// or http://.";
  if (parsed.username !== "" || parsed.password !== "") return "Addresses with a user name or password are not taken.";
  return null;
}

/** Names and addresses of this machine and of private networks (RFC 1918, 3927, 4193, 6761, 6762). */
const NEAR_NAME = /^(.*\.)?(localhost|local|internal|test)$/;
const NEAR_ADDRESS =
  /^((127|10)\.\d+|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\.\d+\.\d+$|^\[(::1|f[cd].*|fe[89ab].*)\]$/;

/** The warning for an address that only this machine or network reaches; null for any other. */
function farWarning(url: string): string | null {
  const hostname = URL.parse(url.trim())?.hostname ?? "";
  if (!NEAR_NAME.test(hostname) && !NEAR_ADDRESS.test(hostname)) return null;
  return `Upstream fetches addresses itself and cannot reach ${hostname}: add the file instead.`;
}

function cutWarning(field: "prompt" | "negativePrompt", text: string, maxChars: number): Finding | null {
  const chars = [...text];
  const over = chars.length - maxChars;
  if (over <= 0) return null;
  const cut = chars.slice(maxChars);
  const shown = cut.slice(0, CUT_SHOWN_CHARS).join("").trim();
  const more = cut.length > CUT_SHOWN_CHARS ? "…" : "";
  const what = over === 1 ? "the last character" : `the last ${over} characters`;
  return { field, level: "warning", message: `Upstream would silently cut ${what}, from “${shown}${more}”` };
}

/** `10 MB`, `2.4 MB`, `12 KB`, with 1 KB = 1024 bytes, as the limit is counted. */
export function bytesWords(bytes: number): string {
  const kilobytes = Math.round(bytes / 1024);
  if (kilobytes < 100) return `${Math.max(1, kilobytes)} KB`;
  const value = bytes / (1024 * 1024);
  return `${value >= 9.95 ? Math.round(value) : value.toFixed(1)} MB`;
}

/** Characters as upstream counts them: by code point, so an emoji counts as one. */
export function countChars(text: string): number {
  return [...text.trim()].length;
}
