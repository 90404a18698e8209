import type { FileSubmit } from "../../client/submission.ts";
import { type ModelInfo, sizesFor } from "../../schemas/limits.ts";
import { paths } from "../../schemas/paths.ts";
import { MAX_SEED } from "../../schemas/submit.ts";
import type { Draft } from "./draft.ts";

/** Everything of a request but its images, the same for both workflows. */
export type RequestFields = FileSubmit;

/**
 * The draft as the API takes it, without its images: only what the person chose and the model supports, so that what is left
 * out stays the server's choice. The model is always named, and the size where one is shown as chosen: what was shown is what
 * is asked.
 */
export function requestFields(draft: Draft, model: ModelInfo): RequestFields {
  const { supports } = model;
  const negativePrompt = draft.negativePrompt.trim();
  const seed = parseSeed(draft.seed);
  const sizes = sizesFor(model, draft.workflow);
  const size = sizes.kind === "none" ? null : (draft.size ?? sizes.default);
  const n = Math.min(draft.n, model.maxN);
  return {
    prompt: draft.prompt.trim(),
    model: model.model,
    ...(supports.negativePrompt && negativePrompt !== "" ? { negativePrompt } : {}),
    ...(size === null ? {} : { size }),
    ...(n === model.defaultN ? {} : { n }),
    ...(supports.seed && typeof seed === "number" ? { seed } : {}),
    ...(supports.promptExtend && draft.promptExtend !== null ? { promptExtend: draft.promptExtend } : {}),
    ...(supports.watermark && draft.watermark ? { watermark: true } : {}),
    ...(draft.priority === "normal" ? {} : { priority: draft.priority }),
    ...(draft.onUncertain === "retry" ? {} : { onUncertain: draft.onUncertain }),
  };
}

/** The seed as typed: null for none (random), `invalid` when it is not one. */
export function parseSeed(typed: string): number | null | "invalid" {
  const text = typed.trim();
  if (text === "") return null;
  if (!/^\d{1,10}$/.test(text)) return "invalid";
  const seed = Number(text);
  return seed <= MAX_SEED ? seed : "invalid";
}

/**
 * The draft as a command to paste into a shell. `withToken`: the server wants one, taken from `$DARKROOM_TOKEN`. `client`: for
 * whom the operator submits; null for a client.
 */
export function curlLine(
  origin: string,
  draft: Draft,
  fields: RequestFields,
  withToken: boolean,
  client: string | null,
): string {
  const query = client === null ? "" : `?${new URLSearchParams({ client })}`;
  const url = `${origin}${paths.workflow(draft.workflow)}${query}`;
  const head = ["curl -sS", shellQuote(url), ...(withToken ? ['-H "Authorization: Bearer $DARKROOM_TOKEN"'] : [])];
  return [...head, ...bodyOf(draft, fields)].join(" \\\n  ");
}

function bodyOf(draft: Draft, fields: RequestFields): string[] {
  if (draft.workflow === "image-from-text") return json(fields);
  const urls = draft.images.flatMap((image) => (image.kind === "url" ? [image.url] : []));
  if (urls.length === draft.images.length) return json({ ...fields, images: urls });
  const plain = Object.entries(fields).map(([name, value]) => `--form-string ${shellQuote(`${name}=${value}`)}`);
  const images = draft.images.map((image) =>
    image.kind === "url"
      ? `--form-string ${shellQuote(`images=${image.url}`)}`
      : `-F ${shellQuote(`images=@"${image.name.replace(/["\\]/g, "\\$&")}";type=${image.contentType}`)}`,
  );
  return [...plain, ...images];
}

function json(body: unknown): string[] {
  return ["-H 'Content-Type: application/json'", `-d ${shellQuote(JSON.stringify(body))}`];
}

/** Inert in any POSIX shell, whatever is in it. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
