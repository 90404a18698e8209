import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { Downscaler, type Size } from "./downscale.ts";

function scaled(from: Size, to: Size, pixel: (x: number, y: number) => readonly [number, number, number, number]) {
  const downscaler = new Downscaler(from, to);
  const row = new Uint8Array(from.width * 4);
  for (let y = 0; y < from.height; y++) {
    for (let x = 0; x < from.width; x++) row.set(pixel(x, y), x * 4);
    downscaler.add(row);
  }
  return downscaler.finish();
}

const SIZES: readonly (readonly [Size, Size])[] = [
  [
    { width: 1664, height: 928 },
    { width: 320, height: 178 },
  ],
  [
    { width: 333, height: 777 },
    { width: 320, height: 747 },
  ],
  [
    { width: 2049, height: 31 },
    { width: 64, height: 1 },
  ],
  [
    { width: 7, height: 500 },
    { width: 7, height: 3 },
  ],
  [
    { width: 5, height: 5 },
    { width: 1, height: 1 },
  ],
];

describe("Downscaler", () => {
  it.each(SIZES)("keeps every pixel of a plain image unchanged, %o to %o", (from, to) => {
    for (const colour of [
      [0, 0, 0, 255],
      [255, 255, 255, 255],
      [1, 127, 254, 255],
      [200, 30, 3, 128],
    ] as const) {
      const frame = scaled(from, to, () => colour);
      expect(frame).toHaveLength(to.width * to.height * 4);
      let worst = 0;
      for (let at = 0; at < frame.length; at++) {
        worst = Math.max(worst, Math.abs((frame[at] as number) - (colour[at % 4] as number)));
      }
      expect(worst).toBeLessThanOrEqual(1);
    }
  });

  it("returns an image of the requested size unchanged", () => {
    const size = { width: 9, height: 5 };
    const frame = scaled(size, size, (x, y) => [x * 20, y * 40, 99, x * 9]);
    for (let y = 0; y < 5; y++) {
      for (let x = 0; x < 9; x++) {
        expect([...frame.subarray((y * 9 + x) * 4, (y * 9 + x) * 4 + 4)]).toEqual([x * 20, y * 40, 99, x * 9]);
      }
    }
  });

  it("averages light: fine black and white lines become the grey that is half as bright, not the level 128", () => {
    const frame = scaled({ width: 400, height: 400 }, { width: 50, height: 50 }, (x) => {
      const level = x % 2 === 0 ? 0 : 255;
      return [level, level, level, 255];
    });
    expect(frame[(25 * 50 + 25) * 4]).toBe(188);
  });

  it("lets no colour of an invisible pixel affect a visible one", () => {
    const frame = scaled({ width: 300, height: 300 }, { width: 30, height: 30 }, (x) =>
      x < 155 ? [255, 0, 0, 255] : [0, 255, 0, 0],
    );
    for (let at = 0; at < frame.length; at += 4) {
      if (frame[at + 3] === 0) continue;
      expect([frame[at], frame[at + 1]]).toEqual([255, 0]);
    }
  });

  it("matches another library's resizing of a picture with smooth and sharp parts", async () => {
    const from = { width: 1000, height: 700 };
    const to = { width: 320, height: 224 };
    const pixel = (x: number, y: number): readonly [number, number, number, number] => {
      const inCircle = (x - 500) ** 2 + (y - 350) ** 2 < 200 ** 2;
      return inCircle ? [230, 60, 40, 255] : [(x * 255) / 1000, (y * 255) / 700, 128, 255];
    };
    const ours = scaled(from, to, pixel);
    const raw = Buffer.alloc(from.width * from.height * 4);
    for (let y = 0; y < from.height; y++) {
      for (let x = 0; x < from.width; x++) raw.set(pixel(x, y), (y * from.width + x) * 4);
    }
    const theirs = await sharp(raw, { raw: { ...from, channels: 4 } })
      .resize({ ...to, fit: "fill", kernel: "cubic" })
      .raw()
      .toBuffer();
    let difference = 0;
    for (let at = 0; at < ours.length; at++) difference += Math.abs((ours[at] as number) - (theirs[at] as number));
    expect(difference / ours.length).toBeLessThan(1);
  });
});
