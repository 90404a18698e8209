import fc from "fast-check";

/** Any value that a header may have on the wire: visible ASCII, blanks, and bytes above 127. */
const anyValue = fc.string({
  unit: fc
    .oneof(
      { weight: 4, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
      { weight: 1, arbitrary: fc.integer({ min: 0x80, max: 0xff }) },
    )
    .map((code) => String.fromCharCode(code)),
  maxLength: 60,
});

const long = fc.constantFrom(256, 1_000, 9_000).map((length) => "a".repeat(length));

function oneOf(...values: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...values) },
    { weight: 2, arbitrary: anyValue },
    { weight: 1, arbitrary: long },
  );
}

const list = (part: fc.Arbitrary<string>) => fc.array(part, { maxLength: 40 }).map((parts) => parts.join(","));

/** Hostile values of each header that our code reads, and of some that wrangler or the runtime reads. */
const VALUES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  accept: oneOf(
    "*/*",
    "application/json",
    "application/json;q=0",
    "text/plain",
    "text/html",
    "text/event-stream",
    "image/png",
    "application/problem+json",
    "*",
    "/",
    ";",
    ",,,,",
    "text/*;q=9",
    "text/plain;q=0.0001,*/*;q=1e9",
    'a/b;q=;;q="',
    "*/json",
    "APPLICATION/JSON ; Q=0.5",
    "text/event-stream, application/json;q=0.9",
  ),
  range: fc.oneof(
    oneOf(
      "bytes=0-",
      "bytes=-1",
      "bytes=-0",
      "bytes=0-0",
      "bytes=5-1",
      "bytes=99999999-",
      "bytes=0-18446744073709551616",
      "bytes=",
      "bytes=-",
      "bytes",
      "lines=0-1",
      "bytes=0-1,3-4",
      "bytes=a-b",
      "bytes=1e3-",
      "bytes= 0 - 5 ",
      "bytes=--5",
      "bytes=-99999999999999999999",
      "bytes=0x1-0x5",
      "BYTES=0-1",
    ),
    list(fc.tuple(fc.nat(999), fc.nat(999)).map(([from, to]) => `${from}-${to}`)).map((ranges) => `bytes=${ranges}`),
  ),
  "if-none-match": fc.oneof(
    oneOf("*", '"', 'W/"', '"a", "b"', "@etag@", 'W/@etag@, "x"', '""', "W/", "**"),
    list(anyValue),
  ),
  "if-match": oneOf("*", '"a"', "@etag@", ""),
  "if-range": oneOf("@etag@", '"a"', 'W/"a"', "Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 99 Foo 0000 99:99:99 XYZ", '"'),
  "if-modified-since": oneOf("Sun, 06 Nov 1994 08:49:37 GMT", "0", "-1", "9999999999999999", "yesterday"),
  prefer: oneOf(
    "wait=0",
    "wait=1",
    "wait=2",
    "wait=-1",
    "wait=1e9",
    'wait="1"',
    "wait",
    "wait=",
    "wait=1;foo, wait=2",
    "respond-async",
    "WAIT = 1",
    "wait=0.5",
    ",,,;;;===",
  ),
  "idempotency-key": oneOf(
    "a",
    "b",
    '"a"',
    '"a',
    'a"',
    '""',
    "\\",
    '"\\"',
    '"\\x"',
    " ",
    "key one",
    "a, b",
    "\u00e9",
    '"a", "b"',
    "0".repeat(255),
    "0".repeat(256),
  ),
  "last-event-id": oneOf("0", "1", "2", "-1", "1e3", "999999999999999", "9999999999999999999999", "0x1", "null", "1,2"),
  authorization: oneOf(
    "Bearer",
    "Bearer ",
    "Bearer x",
    "bearer  x",
    "Basic YTpi",
    "Bearer a b",
    "Digest username=a",
    "Bearer \u00e9",
    "Token x",
    "",
  ),
  cookie: oneOf(
    "darkroom=",
    "darkroom=a",
    "darkroom=a.b",
    "darkroom=eyJjIjpudWxsfQ.x",
    "darkroom=.;darkroom=..",
    "__Host-darkroom=a.b",
    "darkroom=%00.%ff",
    "=;=;=",
    "darkroom",
    "a=b; ".repeat(200),
  ),
  origin: oneOf(
    "null",
    "http://localhost",
    "https://evil.example",
    "file://",
    "http://localhost:1",
    "javascript:alert(1)",
    "",
    "http://[::1",
    "https://app.example",
  ),
  "content-type": oneOf(
    "application/json",
    "application/json; charset=utf-16",
    'application/json; charset="',
    "application/JSON;;;",
    "text/json",
    "application/merge-patch+json",
    "application/+json",
    "application/vnd.a.b+json",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary="',
    "multipart/form-data; boundary=a; boundary=b",
    "multipart/mixed; boundary=a",
    "application/x-www-form-urlencoded",
    "text/plain",
    "/",
    "application/json, text/plain",
    `multipart/form-data; boundary=${"b".repeat(3000)}`,
    "multipart/form-data; boundary=\u00e9",
  ),
  "content-encoding": oneOf("gzip", "identity", "br", "deflate, gzip", "x", "identity, identity"),
  // Wrangler itself answers a request that allows no encoding at all with 415, so that is left out.
  "accept-encoding": oneOf("gzip", "br;q=1.0, gzip;q=0.1", "zstd", "identity"),
  "accept-language": oneOf("de", "*", "x-klingon;q=2"),
  "x-request-id": oneOf("a", "a b", "a\u00e9", "<script>", "jndi:ldap://x", "../..", "0".repeat(128), "0".repeat(129)),
  "x-darkroom-watch": oneOf("%7B%22mode%22%3A%22ws%22%2C%22viewer%22%3Anull%7D", "{", "%", "%7B%7D"),
  "x-darkroom-refusal": oneOf("job_gone", "too_many_watchers"),
  "x-forwarded-for": oneOf("127.0.0.1", "::1", "a, b, c"),
  "x-forwarded-host": oneOf("evil.example", "localhost:1"),
  "x-forwarded-proto": oneOf("https", "javascript"),
  forwarded: oneOf("host=evil.example;proto=https", 'for="[::1]"'),
  "x-http-method-override": oneOf("DELETE", "PATCH"),
  "access-control-request-method": oneOf("POST", "DELETE", "x", "\u00e9"),
  "access-control-request-headers": oneOf("authorization", "*", ",,,"),
  referer: oneOf("https://evil.example/", "about:blank"),
  "user-agent": oneOf("", "curl/8", "() { :; }; echo"),
  "sec-fetch-site": oneOf("cross-site", "none"),
  te: oneOf("trailers", "gzip;q=2"),
  via: oneOf("1.1 a", "a".repeat(500)),
  "x-filler": fc.constantFrom(1_000, 10_000, 14_000).map((length) => "f".repeat(length)),
};

/** A hostile value of a header; any value for names that are not in the table. */
export function hostileValue(name: string): fc.Arbitrary<string> {
  return VALUES[name.toLowerCase()] ?? anyValue;
}

/** One hostile header. */
export const hostileHeader: fc.Arbitrary<readonly [string, string]> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .constantFrom(...Object.keys(VALUES))
      .chain((name) => hostileValue(name).map((value) => [name, value] as const)),
  },
  { weight: 1, arbitrary: fc.tuple(fc.stringMatching(/^x-[a-z0-9!#$&'*+.^_`|~-]{1,30}$/), anyValue) },
);

/** Only hostile headers, some of them given twice; without those for authentication or the framing of the body. */
export const hostileHeaders: fc.Arbitrary<readonly (readonly [string, string])[]> = fc.oneof(
  { weight: 8, arbitrary: fc.array(hostileHeader, { minLength: 1, maxLength: 5 }) },
  { weight: 1, arbitrary: hostileHeader.map((header) => [header, header]) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(50, 90)
      .chain((count) => fc.array(hostileHeader, { minLength: count, maxLength: count })),
  },
);
