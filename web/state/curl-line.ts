import { paths } from "../../schemas/paths.ts";
import type { Draft } from "./draft.ts";
import type { RequestFields } from "./draft-request.ts";

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
