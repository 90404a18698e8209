import { describe, expect, it } from "vitest";
import { hostOf, mayFetch, signatureEnded } from "./result-link.ts";

describe("mayFetch", () => {
  const real = "https://dashscope-intl.aliyuncs.com";
  const emulator = "http://127.0.0.1:9000";

  it.each([
    ["https://dashscope-a717.oss-accelerate.aliyuncs.com/a.png?Expires=1", real, true],
    ["https://any.host.example/a.png", emulator, true],
    ["http://dashscope-a717.oss-accelerate.aliyuncs.com/a.png", real, false],
    ["http://127.0.0.1:9000/a.png", real, false],
    ["http://127.0.0.1:9001/a.png", emulator, true],
    ["http://localhost:9000/a.png", emulator, true],
    ["http://results.example/a.png", emulator, false],
    ["http://127.0.0.1:9000/a.png", "https://127.0.0.1:9000", false],
    ["https://user:secret@host.example/a.png", real, false],
    ["ftp://host.example/a.png", real, false],
    ["file:///etc/passwd", emulator, false],
    ["data:image/png;base64,iVBORw0KGgo=", real, false],
    ["not a link", real, false],
  ])("%s with upstream %s: %s", (link, upstream, expected) => {
    expect(mayFetch(link, upstream)).toBe(expected);
  });
});

describe("signatureEnded", () => {
  it("goes by the link's own Expires, and is false without one", () => {
    const link = "https://host.example/a.png?Expires=1781778573&Signature=x";
    expect(signatureEnded(link, 1_781_778_572_999)).toBe(false);
    expect(signatureEnded(link, 1_781_778_573_000)).toBe(true);
    expect(signatureEnded("https://host.example/a.png", Number.MAX_SAFE_INTEGER)).toBe(false);
    expect(signatureEnded("https://host.example/a.png?Expires=soon", Number.MAX_SAFE_INTEGER)).toBe(false);
  });
});

describe("hostOf", () => {
  it("keeps a link's signature out of sentences", () => {
    expect(hostOf("https://host.example:8443/a.png?Signature=secret")).toBe("host.example:8443");
    expect(hostOf("nonsense")).not.toContain("nonsense");
  });
});
