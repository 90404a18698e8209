import { describe, expect, it } from "vitest";
import { imageFileName } from "./image-file-name.ts";

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
