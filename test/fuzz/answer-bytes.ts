import type { Answer } from "./attack.ts";

export interface ReadAnswers {
  readonly answers: readonly Answer[];
  /** The bytes after the last whole answer. */
  readonly rest: Buffer;
}

const HEAD_END = Buffer.from("\r\n\r\n");

interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

function readHead(text: string): Head | null {
  const [statusLine = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})( |$)/.exec(statusLine)?.[1];
  if (status === undefined) return null;
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon <= 0) return null;
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(status), headers };
}

/** The bytes of a chunked body, and the offset of its end; null when it is not whole. */
function readChunks(bytes: Buffer, from: number): { readonly body: Buffer; readonly end: number } | null {
  const parts: Buffer[] = [];
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    const start = lineEnd + 2;
    if (!Number.isInteger(size) || bytes.length < start + size + 2) return null;
    if (size === 0) return { body: Buffer.concat(parts), end: start + 2 };
    parts.push(bytes.subarray(start, start + size));
    at = start + size + 2;
  }
}

function readBody(
  bytes: Buffer,
  from: number,
  { status, headers }: Head,
): { readonly body: Buffer; readonly end: number } | null {
  // From here on the connection is a socket, and no longer HTTP.
  if (status === 101) return { body: bytes.subarray(from), end: bytes.length };
  if (status < 200 || status === 204 || status === 304) return { body: Buffer.alloc(0), end: from };
  if (headers["transfer-encoding"] === "chunked") return readChunks(bytes, from);
  const length = headers["content-length"];
  if (length === undefined) return { body: bytes.subarray(from), end: bytes.length };
  const end = from + Number(length);
  return end > bytes.length ? null : { body: bytes.subarray(from, end), end };
}

/** The answers in the bytes that a server sent over one connection, without interim answers (100). */
export function readAnswers(bytes: Buffer): ReadAnswers {
  const answers: Answer[] = [];
  let at = 0;
  while (at < bytes.length) {
    const headEnd = bytes.indexOf(HEAD_END, at);
    const head = headEnd < 0 ? null : readHead(bytes.toString("latin1", at, headEnd));
    const body = head === null ? null : readBody(bytes, headEnd + HEAD_END.length, head);
    if (head === null || body === null) break;
    if (head.status >= 200 || head.status === 101) answers.push({ ...head, body: body.body });
    at = body.end;
  }
  return { answers, rest: bytes.subarray(at) };
}
