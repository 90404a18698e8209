export type IdempotencyKey =
  | { readonly ok: true; readonly key: string | null }
  | { readonly ok: false; readonly message: string };

const MAX_KEY_CHARS = 255;

/**
 * The key of an `Idempotency-Key` header: with quotes as the draft has it (a structured-field string), or without as most
 * clients send it. Both name the same key. Two headers of this name arrive as one with a comma, so that an unquoted key has
 * none.
 */
export function readIdempotencyKey(header: string | undefined): IdempotencyKey {
  if (header === undefined) return { ok: true, key: null };
  const text = header.trim();
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(text)?.[1];
  if (quoted === undefined && text.includes(",")) {
    return { ok: false, message: "must be one key in one header; a key with a comma in it needs quotes" };
  }
  if (quoted === undefined && text.includes('"')) {
    return { ok: false, message: 'must be quoted on both sides, with \\" for a quote inside, or not at all' };
  }
  const key = quoted?.replace(/\\(["\\])/g, "$1") ?? text;
  if (key === "") return { ok: false, message: "must not be empty" };
  if (key.length > MAX_KEY_CHARS) return { ok: false, message: `must have ${MAX_KEY_CHARS} characters at most` };
  if (!/^[\x20-\x7e]+$/.test(key)) return { ok: false, message: "must be printable ASCII characters" };
  return { ok: true, key };
}
