import fc from "fast-check";

export const HEAD = "Host: @host@\r\nAuthorization: Bearer @token@\r\n";
const SUBMIT = "POST /api/workflows/image-from-text HTTP/1.1\r\n";
export const BODY = '{"prompt":"a house by the sea","metadata":{"from":"raw bytes"}}';

export const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\n${HEAD}${more}\r\n`;
export const post = (more: string, body: string) =>
  `${SUBMIT}${HEAD}Content-Type: application/json\r\n${more}\r\n${body}`;
export const sized = (body: string) => post(`Content-Length: ${body.length}\r\n`, body);
export const chunked = (chunks: string) => post("Transfer-Encoding: chunked\r\n", chunks);
export const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

export const good = fc.constantFrom(
  get("/api/health"),
  get("/api/jobs?limit=1"),
  get("/api/jobs/@id@"),
  get("/api/limits"),
  get("/api/nowhere"),
  sized(BODY),
  sized("{}"),
  chunked(`${chunk(BODY)}0\r\n\r\n`),
);

/** Where to cut, and how long to wait there in ms. */
export const cuts = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  { weight: 2, arbitrary: fc.array(fc.tuple(fc.nat(2_000), fc.nat(30)), { minLength: 1, maxLength: 6 }) },
);
