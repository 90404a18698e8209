import { describe, expect, it } from "vitest";
import { isMeantAsText } from "./draft.ts";

describe("text that came along with files", () => {
  it.each([
    ["", ["image.png"], false],
    [" \r\n", ["image.png"], false],
    ["Price\t12", ["image.png"], true],
    ["a slide's\nheading", ["image.png"], true],
    ["see image.png", ["image.png"], true],
    ["red/blue.png", ["blue.png"], true],
    ["boat.png", ["boat.png"], false],
    ["boat.png\r\nsea.png", ["boat.png", "sea.png"], false],
    ["boat.png\nand a sea", ["boat.png"], true],
    ["/home/someone/boat.png", ["boat.png"], false],
    ["C:\\pictures\\boat.png", ["boat.png"], false],
    ["file:///home/someone/a%20boat.png", ["a boat.png"], false],
    ["file:///100%/boat%.png", ["boat%.png"], false],
  ])("%j beside %j is meant to be written: %j", (text, names, meant) => {
    expect(isMeantAsText(text, names)).toBe(meant);
  });
});
