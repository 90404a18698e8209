import fc from "fast-check";
import type { NoHttp } from "./attack.ts";
import { RUNTIME_ADDRESS_CHARS } from "./judge.ts";
import { BODY, chunk, chunked, get, HEAD, post } from "./raw-requests.ts";

/** Bytes, and the expected answers to them. */
export interface RawRequest {
  readonly name: string;
  readonly text: string;
  readonly noHttp: NoHttp;
  readonly answers: number | null;
}

function broken(name: string, noHttp: NoHttp, ...texts: readonly string[]): fc.Arbitrary<RawRequest> {
  return fc.constantFrom(...texts).map((text) => ({ name, text, noHttp, answers: null }));
}

const requestLine = broken(
  "request line",
  "syntax",
  "\r\n\r\n",
  "GET\r\n\r\n",
  "GET /\r\n\r\n",
  `GET /api/health HTTP/9.9\r\n${HEAD}\r\n`,
  ` GET /api/health HTTP/1.1\r\n${HEAD}\r\n`,
  `GET\t/api/health\tHTTP/1.1\r\n${HEAD}\r\n`,
  `G\0T /api/health HTTP/1.1\r\n${HEAD}\r\n`,
  `GET /api/\0health HTTP/1.1\r\n${HEAD}\r\n`,
  `GET /api health HTTP/1.1\r\n${HEAD}\r\n`,
  `GET /api/health\r\n${HEAD}\r\n`,
  `GET  /api/health  HTTP/1.1\r\n${HEAD}\r\n`,
  `GET /api/health HTTP/1.1\n${HEAD}\n`,
  `GET /api/health HTTP/1.1\r${HEAD}\r\r`,
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
  "\0".repeat(500),
  `${"A".repeat(100_000)}`,
  `GET ${"/a".repeat(200_000)} HTTP/1.1\r\n${HEAD}\r\n`,
  "SSH-2.0-OpenSSH_9.6\r\n",
);

const method = broken(
  "method",
  "method",
  ...["get", "BREW", "CONNECT", "A".repeat(5_000), "G-T", "\u00e9"].map(
    (name) => `${name} /api/jobs HTTP/1.1\r\n${HEAD}\r\n`,
  ),
);

const host = broken(
  "host",
  "host",
  "GET /api/health HTTP/1.1\r\n\r\n",
  "GET /api/health HTTP/1.0\r\n\r\n",
  ...[
    "",
    "a b",
    "[::1",
    "<>",
    "\u00e9",
    "a:99999",
    "a".repeat(1_000),
    "localhost\r\nHost: evil.example",
    "%00",
    "user@host",
    "a/b?c#d",
  ].map((name) => `GET /api/health HTTP/1.1\r\nHost: ${name}\r\nAuthorization: Bearer @token@\r\n\r\n`),
  `GET http://evil.example/api/jobs HTTP/1.1\r\n${HEAD}\r\n`,
  `GET http://[::1/api/jobs HTTP/1.1\r\n${HEAD}\r\n`,
  `OPTIONS * HTTP/1.1\r\n${HEAD}\r\n`,
  `GET api/health HTTP/1.1\r\n${HEAD}\r\n`,
  `GET ?a HTTP/1.1\r\n${HEAD}\r\n`,
);

const headers = broken(
  "header line",
  "syntax",
  ...[
    "X: a\0b",
    " folded: yes",
    "no colon",
    "X : a",
    ": a",
    "X\t: a",
    "X: a\rb: c",
    "X:\u0001",
    "\x80: a",
    "(a): b",
    `${"n".repeat(70_000)}: a`,
  ].map((line) => get("/api/health", `${line}\r\n`)),
);

const oversized: fc.Arbitrary<RawRequest> = fc.constantFrom(33_000, 100_000, 1_000_000).chain((characters) =>
  fc
    .constantFrom(
      { name: "long header", text: get("/api/health", `X-Filler: ${"f".repeat(characters)}\r\n`) },
      { name: "long address", text: get(`/api/jobs?cursor=${"f".repeat(characters)}`) },
      { name: "header flood", text: get("/api/health", "X-F: y\r\n".repeat(characters / 8)) },
      { name: "cookie flood", text: get("/api/jobs", "Cookie: a=b\r\n".repeat(characters / 13)) },
    )
    .map(
      ({ name, text }): RawRequest => ({
        name,
        text,
        noHttp: characters > RUNTIME_ADDRESS_CHARS ? "syntax" : null,
        answers: null,
      }),
    ),
);

const lengths = broken(
  "length",
  "framing",
  ...[
    "Content-Length: -1",
    "Content-Length: +5",
    "Content-Length: 0x5",
    "Content-Length: 5, 5",
    "Content-Length: 5\r\nContent-Length: 7",
    `Content-Length: ${"9".repeat(30)}`,
    "Content-Length: five",
    "Content-Length: 1e2",
    "Content-Length:",
    "Content-Length: 10000000000000",
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding:\u000bchunked",
  ].map((line) => post(`${line}\r\n`, BODY)),
  post("Content-Length: 500\r\n", BODY),
  post("Content-Length: 43000000\r\n", BODY),
  post("Content-Length: 5\r\n", BODY),
);

const chunks = broken(
  "chunks",
  "framing",
  ...[
    "ZZ\r\n\r\n",
    "-1\r\n\r\n",
    `${"F".repeat(17)}\r\n\r\n`,
    `${chunk(BODY)}`,
    `5\r\n{}`,
    `${chunk(BODY)}0\r\n`,
    `${chunk(BODY)}0\r\nTrailer: x\r\n`,
    "\r\n",
    "0x5\r\nabcde\r\n0\r\n\r\n",
    `2;${"e".repeat(50_000)}\r\n{}\r\n0\r\n\r\n`,
    `2\n{}\n0\n\n`,
    `3\r\n{}\r\n0\r\n\r\n`,
    "\0\0\0",
    // Only a hundred: a thousand such chunks wait inside the runtime until it has little else to do, for every reader.
    `1\r\n{\r\n`.repeat(100),
  ].map(chunked),
);

const handshake = broken(
  "handshake",
  "handshake",
  ...[
    "Upgrade: websocket\r\n",
    "Upgrade: websocket\r\nConnection: Upgrade\r\n",
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n",
    "Upgrade: h2c, websocket\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAA\r\n",
  ].flatMap((lines) => [
    // A request that is not upgraded must not be answered with a stream, which has no end.
    get("/api/events", `${lines}Accept: application/json\r\n`),
    get("/api/jobs/@id@/events", lines),
    post(`${lines}Content-Length: 2\r\n`, "{}"),
  ]),
);

/** Requests that are not HTTP, wrong in every place where they can be, and requests that are too large. */
export const brokenHttp = fc.oneof(requestLine, method, host, headers, oversized, lengths, chunks, handshake);
