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
    expect(imageFileName(prompt, id, 0, contentType)).toBe(expected);
  });

  it("ends a long prompt at a word, and one long word anyhow", () => {
    expect(imageFileName("seventeen elephants ".repeat(20), id, 1, "image/png")).toBe(
      "seventeen-elephants-seventeen-elephants-i6BmyT-2.png",
    );
    expect(imageFileName("x".repeat(500), id, 1, "image/png")).toBe(`${"x".repeat(48)}-i6BmyT-2.png`);
  });
});
