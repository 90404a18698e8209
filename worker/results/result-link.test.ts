import { describe, expect, it } from "vitest";
import { linkEndMs } from "./contract.ts";
import { fetchAddress, hostOf } from "./result-link.ts";

describe("fetchAddress", () => {
  const real = "https://dashscope-intl.aliyuncs.com";
  const emulator = "http://127.0.0.1:9000";
  const oss = "dashscope-result-bj.oss-cn-beijing.aliyuncs.com/7d/a.png?Expires=1&Signature=a%2Bb";

  it.each([
    ["an https link", `https://${oss}`, real, `https://${oss}`],
    ["a plain http link", `http://${oss}`, real, `https://${oss}`],
    ["a plain http link with its port", `http://a.example:80/a.png`, real, "https://a.example/a.png"],
    ["a plain http link with another port", `http://a.example:8080/a.png`, real, "https://a.example:8080/a.png"],
    ["a link with a name and password", "https://user:secret@a.example/a.png", real, "https://a.example/a.png"],
    ["an https link of any host", "https://a.example/a.png", emulator, "https://a.example/a.png"],
    [
      "plain http between this machine and itself",
      "http://127.0.0.1:9001/a.png",
      emulator,
      "http://127.0.0.1:9001/a.png",
    ],
    ["plain http to localhost", "http://localhost:9000/a.png", emulator, "http://localhost:9000/a.png"],
    ["plain http elsewhere while upstream is here", "http://a.example/a.png", emulator, "https://a.example/a.png"],
    [
      "plain http to here while upstream is elsewhere",
      "http://127.0.0.1:9000/a.png",
      real,
      "https://127.0.0.1:9000/a.png",
    ],
    ["ftp", "ftp://a.example/a.png", real, null],
    ["a file", "file:///etc/passwd", emulator, null],
    ["no address", "not a link", real, null],
  ])("%s", (_what, link, upstream, address) => {
    expect(fetchAddress(link, upstream)).toBe(address);
  });
});

describe("linkEndMs", () => {
  const deliveredAtMs = Date.parse("2026-11-28T07:00:00Z");
  const inHours = (hours: number) => deliveredAtMs + hours * 3_600_000;

  it.each([
    ["its own Expires, later", `https://a.example/a.png?Expires=${inHours(168) / 1000}&Signature=x`, inHours(168)],
    ["its own Expires, earlier", `https://a.example/a.png?Expires=${inHours(1) / 1000}&Signature=x`, inHours(1)],
    ["OSS's newer signature", "https://a.example/a.png?x-oss-date=20261128T070000Z&x-oss-expires=7200", inHours(2)],
    ["24 hours where it names none", "https://a.example/a.png", inHours(24)],
    ["24 hours where its Expires cannot be read", "https://a.example/a.png?Expires=soon", inHours(24)],
    [
      "24 hours where its newer signature cannot",
      "https://a.example/a.png?x-oss-date=soon&x-oss-expires=7200",
      inHours(24),
    ],
    [
      "24 hours where the date of its newer signature does not exist",
      "https://a.example/a.png?x-oss-date=20261328T070000Z&x-oss-expires=7200",
      inHours(24),
    ],
    ["24 hours for a data URL", "data:image/png;base64,AAAA", inHours(24)],
    ["24 hours for an image in the bucket", "stored:jobs/job_a/1/0", inHours(24)],
  ])("is %s", (_what, link, endMs) => {
    expect(linkEndMs(link, deliveredAtMs)).toBe(endMs);
  });
});

describe("hostOf", () => {
  it("leaves out a link's signature", () => {
    expect(hostOf("https://host.example:8443/a.png?Signature=secret")).toBe("host.example:8443");
    for (const link of ["nonsense", "data:image/png;base64,secret"])
      expect(hostOf(link)).toBe("an address that cannot be read");
  });
});
