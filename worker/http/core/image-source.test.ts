import { expect, it } from "vitest";
import { parseImageSource } from "./image-source.ts";

it.each([
  ["https://example.com/a b.png", { kind: "url", url: "https://example.com/a%20b.png" }],
  ["http://example.com/a.png?b=c#d", { kind: "url", url: "http://example.com/a.png?b=c#d" }],
  ["data:image/png;base64,iVBOR", { kind: "data", base64: "iVBOR" }],
  ["DATA:image/png;name=a;BASE64,iVBOR", { kind: "data", base64: "iVBOR" }],
  ["data:;base64,", { kind: "data", base64: "" }],
])("takes %s", (source, parsed) => {
  expect(parseImageSource(source)).toEqual(parsed);
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
  `data:image/png;${"a".repeat(300)};base64,abc`,
])("refuses %s, without echoing it", (source) => {
  const parsed = parseImageSource(source);
  expect(parsed.kind).toBe("wrong");
  if (source !== "") expect(JSON.stringify(parsed)).not.toContain(source);
});
