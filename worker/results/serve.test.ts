import { describe, expect, it } from "vitest";
import { byteRange, imageFileName } from "./serve.ts";

describe("byteRange of 100 bytes", () => {
  it.each([
    ["bytes=0-9", { offset: 0, length: 10 }],
    ["bytes=90-", { offset: 90, length: 10 }],
    ["bytes=90-200", { offset: 90, length: 10 }],
    ["bytes=-10", { offset: 90, length: 10 }],
    ["bytes=-200", { offset: 0, length: 100 }],
    ["BYTES = 5 - 5", { offset: 5, length: 1 }],
    ["bytes=99-99", { offset: 99, length: 1 }],
    ["bytes=100-", "not_satisfiable"],
    ["bytes=-0", "not_satisfiable"],
    ["bytes=0-9,20-29", null],
    ["bytes=9-0", null],
    ["bytes=-", null],
    ["bytes=a-b", null],
    ["items=0-9", null],
    ["", null],
    [null, null],
  ] as const)("%j → %j", (header, expected) => {
    expect(byteRange(header, 100)).toEqual(expected);
  });
});

const id = "job_V1StGXR8_Z5jdHi6B-myT";

describe("imageFileName", () => {
  it.each([
    ["a red bicycle in the rain", "image/png", "a-red-bicycle-in-the-rain-i6BmyT-1.png"],
    ["Café «crème», 1€!", "image/jpeg", "cafe-creme-1-i6BmyT-1.jpg"],
    ["一辆红色的自行车", "image/webp", "image-i6BmyT-1.webp"],
    ['"; filename=evil.exe\r\nX: y', "image/gif", "filename-evil-exe-x-y-i6BmyT-1.gif"],
    ["../../etc/passwd", "text/html", "etc-passwd-i6BmyT-1.bin"],
  ])("%j as %s → %s", (prompt, contentType, expected) => {
    expect(imageFileName(prompt, id, 0, contentType).ascii).toBe(expected);
  });

  it("ends a long prompt at a word, and cuts a single long word", () => {
    expect(imageFileName("seventeen elephants ".repeat(20), id, 1, "image/png").ascii).toBe(
      "seventeen-elephants-seventeen-elephants-i6BmyT-2.png",
    );
    expect(imageFileName("x".repeat(500), id, 1, "image/png").ascii).toBe(`${"x".repeat(48)}-i6BmyT-2.png`);
  });

  it.each([
    ["一辆红色的自行车，雨中", "一辆红色的自行车-雨中-i6BmyT-1.png"],
    ["دراجة حمراء", "دراجة-حمراء-i6BmyT-1.png"],
    ["Café crème", "café-crème-i6BmyT-1.png"],
    ['"; a=\r\n../b', "a-b-i6BmyT-1.png"],
    ["…!", "image-i6BmyT-1.png"],
    ["字".repeat(60), `${"字".repeat(48)}-i6BmyT-1.png`],
  ])("keeps the letters of %j: %s", (prompt, expected) => {
    expect(imageFileName(prompt, id, 0, "image/png").full).toBe(expected);
  });
});
