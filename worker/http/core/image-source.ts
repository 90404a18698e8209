import { givenWords } from "../../allowed-words.ts";

/** Longest address that is passed on; browsers and servers stop there or before. */
const MAX_URL_CHARS = 4096;
/** The head of a data URL, before the bytes; ours is short, and looking further would mean megabytes. */
const MAX_DATA_HEAD_CHARS = 200;

export type ParsedSource =
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "data"; readonly base64: string }
  | { readonly kind: "wrong"; readonly message: string };

/** What a client gave as an input image: an address for upstream (never fetched by us), or a data URL with the bytes. */
export function parseImageSource(source: string): ParsedSource {
  if (/^data:/i.test(source)) {
    const comma = source.slice(0, MAX_DATA_HEAD_CHARS).indexOf(",");
    if (comma < 0 || !/;base64$/i.test(source.slice(0, comma))) {
      return { kind: "wrong", message: "must be a data URL in base64, like data:image/png;base64,iVBOR…" };
    }
    return { kind: "data", base64: source.slice(comma + 1) };
  }
  const url = source.length > MAX_URL_CHARS ? null : URL.parse(source);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return {
      kind: "wrong",
      message: `must be an http(s) address of ${MAX_URL_CHARS} characters at most, or a data URL; got ${givenWords(source, 0)}`,
    };
  }
  if (url.username !== "" || url.password !== "") return { kind: "wrong", message: "must not hold credentials" };
  return { kind: "url", url: url.href };
}
