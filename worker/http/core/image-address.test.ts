import { describe, expect, it } from "vitest";
import { parseImageAddress } from "./image-address.ts";

const ID = "job_V1StGXR8_Z5jdHi6B-myT";
const rules = { ownOrigins: ["https://d.example", "http://localhost:8787"], allowLoopback: false };
const parse = (source: string, given: Partial<typeof rules> = {}) => parseImageAddress(source, { ...rules, ...given });

it.each([
  ["https://example.com/a b.png", "https://example.com/a%20b.png"],
  ["http://example.com/a.png?b=c#d", "http://example.com/a.png?b=c#d"],
  ["https://example.com:8443/a", "https://example.com:8443/a"],
  ["https://8.8.8.8/a.png", "https://8.8.8.8/a.png"],
  ["https://[2606:4700::1111]/a.png", "https://[2606:4700::1111]/a.png"],
  ["https://10.example.com/a", "https://10.example.com/a"],
  ["https://localhost.example.com/a", "https://localhost.example.com/a"],
  ["https://bücher.example.com/a", "https://xn--bcher-kva.example.com/a"],
])("accepts %s", (source, url) => {
  expect(parse(source)).toEqual({ kind: "url", url });
});

it.each([
  "ftp://example.com/a.png",
  "file:///etc/passwd",
  "oss://bucket/a.png",
  "javascript:alert(1)",
  "blob:https://example.com/1",
  "example.com/a.png",
  "",
  "https://user:password@example.com/a.png",
  "https://user@example.com/a.png",
  `https://example.com/${"a".repeat(4096)}`,
  "data:image/png,abc",
  "data:image/gif;base64",
])("refuses %s, without echoing it", (source) => {
  const parsed = parse(source);
  expect(parsed.kind).toBe("wrong");
  if (source !== "") expect(JSON.stringify(parsed)).not.toContain(source);
});

describe("an address that upstream cannot reach", () => {
  it.each([
    ["private", "https://10.0.0.1/a"],
    ["private", "https://172.16.5.4/a"],
    ["private", "https://192.168.1.1/a"],
    ["loopback", "https://127.0.0.1/a"],
    ["loopback, as an integer", "https://2130706433/a"],
    ["loopback, in hex", "https://0x7f000001/a"],
    ["loopback, in octal", "https://0177.0.0.1/a"],
    ["loopback, cut short", "https://127.1/a"],
    ["link-local, where clouds keep credentials", "http://169.254.169.254/latest/meta-data"],
    ["carrier-grade NAT", "https://100.64.0.1/a"],
    ["unspecified", "https://0.0.0.0/a"],
    ["broadcast", "https://255.255.255.255/a"],
    ["multicast", "https://224.0.0.1/a"],
    ["reserved for documentation", "https://192.0.2.1/a"],
    ["reserved for benchmarks", "https://198.18.0.1/a"],
    ["reserved", "https://240.0.0.1/a"],
    ["IPv6 loopback", "https://[::1]/a"],
    ["IPv6 link-local", "https://[fe80::1]/a"],
    ["IPv6 unique local", "https://[fd00::1]/a"],
    ["IPv6 documentation", "https://[2001:db8::1]/a"],
    ["IPv4 in IPv6", "https://[::ffff:10.0.0.1]/a"],
    ["IPv4 in IPv6, loopback", "https://[::ffff:7f00:1]/a"],
    ["6to4", "https://[2002:a00:1::]/a"],
    ["NAT64", "https://[64:ff9b::a00:1]/a"],
    ["a single name", "https://intranet/a"],
    ["a single name with a dot", "https://intranet./a"],
    ["localhost", "http://localhost:3000/a"],
    ["a name below localhost", "http://app.localhost/a"],
    [".local", "https://printer.local/a"],
    [".internal", "https://metadata.google.internal/a"],
    [".home.arpa", "https://nas.home.arpa/a"],
    [".lan, with a dot", "https://nas.lan./a"],
    [".onion", "https://abc.onion/a"],
  ])("is refused: %s", (_name, source) => {
    expect(parse(source)).toEqual({ kind: "wrong", message: expect.stringContaining("must be a public address") });
  });

  it.each(["http://127.0.0.1:9000/a.png", "http://[::1]:9000/a.png", "http://localhost:9000/a.png"])(
    "is accepted while upstream is this machine: %s",
    (url) => {
      expect(parse(url, { allowLoopback: true })).toEqual({ kind: "url", url });
      expect(parse("http://192.168.0.1/a", { allowLoopback: true }).kind).toBe("wrong");
    },
  );
});

describe("an address of this service", () => {
  it.each([
    [`https://d.example/api/jobs/${ID}/images/0?end=1&signature=x`, { jobId: ID, kind: "images", index: 0 }],
    [`https://d.example/api/jobs/${ID}/images/12`, { jobId: ID, kind: "images", index: 12 }],
    [`http://localhost:8787/api/jobs/${ID}/inputs/2`, { jobId: ID, kind: "inputs", index: 2 }],
  ])("is a stored image: %s", (source, image) => {
    expect(parse(source)).toEqual({ kind: "own", image });
  });

  it.each([
    `https://d.example/api/jobs/${ID}`,
    `https://d.example/api/jobs/${ID}/images/01`,
    "https://d.example/api/jobs/nothing/images/0",
    "https://d.example/assets/a.png",
  ])("is refused when it is no image: %s", (source) => {
    expect(parse(source)).toEqual({ kind: "wrong", message: expect.stringContaining("not of an image") });
  });

  it("is not one of ours on another origin", () => {
    expect(parse(`https://e.example/api/jobs/${ID}/images/0`).kind).toBe("url");
    expect(parse(`http://d.example/api/jobs/${ID}/images/0`).kind).toBe("url");
  });
});
