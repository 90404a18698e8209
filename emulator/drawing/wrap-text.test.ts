import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../../test/support/properties.ts";
import { escapeXml, isRightToLeft, textWidthEms, wrapText } from "./wrap-text.ts";

describe("wrapText", () => {
  it("breaks between words", () => {
    expect(wrapText("a red bicycle in the rain", 8, 5)).toEqual(["a red bicycle", "in the rain"]);
  });

  it("breaks Chinese, which has no spaces, and words that are too long", () => {
    expect(wrapText("夜晚的花园里盛开着许多红色的花朵", 6, 9).length).toBeGreaterThan(2);
    expect(wrapText("x".repeat(100), 10, 99).join("")).toBe("x".repeat(100));
  });

  it("ends in an ellipsis when not all of it fits", () => {
    const lines = wrapText("word ".repeat(100), 10, 3);
    expect(lines).toHaveLength(3);
    expect(lines[2]).toMatch(/…$/);
  });

  it("keeps any text within its width and lines, and never throws", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 300, size: "max" }),
        fc.integer({ min: 3, max: 40 }),
        (text, maxEms) => {
          const lines = wrapText(text, maxEms, 4);
          expect(lines.length).toBeLessThanOrEqual(4);
          for (const line of lines) expect(textWidthEms(line)).toBeLessThanOrEqual(maxEms);
        },
      ),
      cases(),
    );
  });
});

describe("text in XML", () => {
  it("is escaped", () => {
    expect(escapeXml(`<b a="1" c='2'>&amp;`)).toBe("&lt;b a=&quot;1&quot; c=&apos;2&apos;&gt;&amp;amp;");
  });

  it("is read in the direction of its first letter", () => {
    expect(isRightToLeft("12 مرحبا hello")).toBe(true);
    expect(isRightToLeft("hello מה")).toBe(false);
  });
});
