import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { FIVE_SIZES } from "../core/model-table.ts";
import { Painter } from "./painter.ts";
import type { Picture } from "./picture.ts";
import { pictureSvg } from "./picture.ts";
import { plainFile } from "./png.ts";

const picture = (more: Partial<Picture> = {}): Picture => ({
  prompt: "a red bicycle in the rain",
  negativePrompt: null,
  model: "qwen-image-max",
  width: 512,
  height: 512,
  seed: 1,
  index: 0,
  watermark: false,
  ...more,
});

async function file(painter: Painter, what: Picture, inputs: Buffer[] = []): Promise<Buffer> {
  const png = await painter.file(await painter.paint(what, inputs), null);
  if (png === null) throw new Error("not painted");
  return png;
}

/** The colour of one pixel. */
async function pixel(png: Buffer, left: number, top: number): Promise<number[]> {
  const raw = await sharp(png).extract({ left, top, width: 1, height: 1 }).removeAlpha().raw().toBuffer();
  return [...raw];
}

describe("a drawn picture", () => {
  it.each(FIVE_SIZES)("of %s is a PNG of exactly that size", async (size) => {
    const [width = 0, height = 0] = size.split("*").map(Number);
    const png = await file(new Painter(null), picture({ width, height }));
    expect(await sharp(png).metadata()).toMatchObject({ format: "png", width, height, channels: 3 });
  });

  it("is the same for the same prompt and seed, and different for any other", async () => {
    const draw = (more: Partial<Picture>): Promise<Buffer> => file(new Painter(null), picture(more));
    const first = await draw({});
    expect((await draw({})).equals(first)).toBe(true);
    const others: Partial<Picture>[] = [
      { seed: 2 },
      { prompt: "a red bicycle" },
      { index: 1 },
      { negativePrompt: "blurry" },
      { watermark: true },
    ];
    for (const other of others) expect((await draw(other)).equals(first)).toBe(false);
  });

  it("shows the prompt, the negative prompt and the watermark as text", () => {
    const svg = pictureSvg(picture({ prompt: "<rain> & sun", negativePrompt: "fog", watermark: true }), 0);
    for (const words of ["&lt;rain&gt; &amp; sun", "without: fog", "Qwen-Image", "seed 1"])
      expect(svg).toContain(words);
  });

  it("is drawn for hostile prompts too", async () => {
    for (const prompt of [
      "\u0000\u0008]]>",
      "\ud800 lone",
      "</svg><script>",
      "&#0;",
      "🎨".repeat(300),
      " ".repeat(9),
    ]) {
      expect(await sharp(await file(new Painter(null), picture({ prompt }))).metadata()).toMatchObject({ width: 512 });
    }
  });

  it("shows its input images", async () => {
    const green = await sharp({ create: { width: 40, height: 30, channels: 3, background: "#00ff00" } })
      .png()
      .toBuffer();
    const png = await file(new Painter(null), picture(), [green]);
    expect(await pixel(png, 256, 170)).toEqual([0, 255, 0]);
  });

  it("has its prompt inside the file", async () => {
    expect((await file(new Painter(null), picture({ prompt: "花" }))).includes(Buffer.from("花"))).toBe(true);
  });
});

describe("a plain file", () => {
  it("is a real PNG of the requested size, the same each time, different for each prompt", async () => {
    const png = plainFile(picture({ width: 1664, height: 928 }), null);
    const stats = await sharp(png).stats();
    expect(await sharp(png).metadata()).toMatchObject({ format: "png", width: 1664, height: 928 });
    expect(stats.channels.every((channel) => channel.min === channel.max)).toBe(true);
    expect(png.length).toBeLessThan(2000);
    expect(plainFile(picture({ width: 1664, height: 928 }), null).equals(png)).toBe(true);
    expect(plainFile(picture({ width: 1664, height: 928, prompt: "b" }), null).equals(png)).toBe(false);
  });

  it.each([100_000, 1_500_000, 4_000_000])("is padded to exactly %i bytes, and stays a PNG", async (bytes) => {
    const png = plainFile(picture(), bytes);
    expect(png.length).toBe(bytes);
    expect((await sharp(png).stats()).isOpaque).toBe(true);
  });
});

describe("kept files", () => {
  it("are found by another painter with the same folder", async () => {
    const folder = mkdtempSync(join(tmpdir(), "painter-"));
    try {
      const name = await new Painter(folder).paint(picture(), []);
      const found = await new Painter(folder).file(name, null);
      expect(found?.length).toBeGreaterThan(0);
      expect((await new Painter(folder).file(name, 2_000_000))?.length).toBe(2_000_000);
      expect(readdirSync(folder)).toEqual([`${name}.png`]);
      expect(await new Painter(folder).file("0".repeat(32), null)).toBeNull();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
