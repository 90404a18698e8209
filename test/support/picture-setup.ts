import sharp, { type Sharp } from "sharp";
import type { TestProject } from "vitest/node";

/** A picture of four plain quarters, which shows whether it was turned, mirrored or swapped. */
const WIDTH = 240;
const HEIGHT = 160;
export const QUARTERS = {
  topLeft: [220, 40, 40],
  topRight: [40, 200, 60],
  bottomLeft: [40, 60, 220],
  bottomRight: [240, 220, 40],
} as const;

function picture(alphaOfLast = 255): Sharp {
  const pixels = Buffer.alloc(WIDTH * HEIGHT * 4);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const name =
        y < HEIGHT / 2 ? (x < WIDTH / 2 ? "topLeft" : "topRight") : x < WIDTH / 2 ? "bottomLeft" : "bottomRight";
      pixels.set([...QUARTERS[name], name === "bottomRight" ? alphaOfLast : 255], (y * WIDTH + x) * 4);
    }
  }
  return sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 4 } });
}

/** A plain picture of a given size: a small file that is large once it is decoded. */
const plain = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: { r: 90, g: 140, b: 200 } } });

const opaque = () => picture().removeAlpha();

/** The picture as files of every type of which variants are made, and of some other types; made by another library. */
const FILES: Readonly<Record<string, () => Promise<Buffer>>> = {
  "rgb.png": () => opaque().png().toBuffer(),
  "rgba.png": () => picture(0).png().toBuffer(),
  "palette.png": () => opaque().png({ palette: true }).toBuffer(),
  "palette4.png": () => opaque().png({ palette: true, colours: 4 }).toBuffer(),
  "clear-palette.png": () => picture(0).png({ palette: true }).toBuffer(),
  "grey.png": () => opaque().greyscale().toColourspace("b-w").png().toBuffer(),
  "rgb16.png": () => opaque().toColourspace("rgb16").png().toBuffer(),
  "rgba16.png": () => picture(0).toColourspace("rgb16").png().toBuffer(),
  "interlaced.png": () => opaque().png({ progressive: true }).toBuffer(),
  "interlaced-palette.png": () => opaque().png({ palette: true, colours: 4, progressive: true }).toBuffer(),
  "profile.png": () => opaque().withIccProfile("p3").png().toBuffer(),
  "turned.png": () => opaque().withMetadata({ orientation: 6 }).png().toBuffer(),
  "plain.jpg": () => opaque().jpeg({ quality: 95 }).toBuffer(),
  "progressive.jpg": () => opaque().jpeg({ quality: 95, progressive: true }).toBuffer(),
  "grey.jpg": () => opaque().greyscale().jpeg().toBuffer(),
  "cmyk.jpg": () => opaque().toColourspace("cmyk").jpeg().toBuffer(),
  "profile.jpg": () => opaque().withIccProfile("p3").jpeg({ quality: 95 }).toBuffer(),
  ...Object.fromEntries(
    [1, 2, 3, 4, 5, 6, 7, 8].map((orientation) => [
      `turned${orientation}.jpg`,
      () => opaque().withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer(),
    ]),
  ),
  "lossy.webp": () => opaque().webp({ quality: 95 }).toBuffer(),
  "lossless.webp": () => picture(0).webp({ lossless: true }).toBuffer(),
  "profile.webp": () => opaque().withIccProfile("p3").webp({ quality: 95 }).toBuffer(),
  "turned.webp": () => opaque().withMetadata({ orientation: 8 }).webp({ quality: 95 }).toBuffer(),
  "animated.webp": async () => {
    const frames = await Promise.all([opaque().png().toBuffer(), opaque().negate().png().toBuffer()]);
    return sharp(frames, { join: { animated: true } })
      .webp()
      .toBuffer();
  },
  "large.jpg": () => plain(2600, 2600).jpeg().toBuffer(),
  "large-progressive.jpg": () => plain(2000, 2000).jpeg({ progressive: true, chromaSubsampling: "4:4:4" }).toBuffer(),
  "large.webp": () => plain(2048, 2048).webp({ lossless: true }).toBuffer(),
  "too-large.jpg": () => plain(2800, 2700).jpeg().toBuffer(),
  "too-large-progressive.jpg": () => plain(2600, 2600).jpeg({ progressive: true }).toBuffer(),
  "too-large.webp": () => plain(2300, 2300).webp().toBuffer(),
  "plain.gif": () => opaque().gif().toBuffer(),
};

declare module "vitest" {
  interface ProvidedContext {
    /** Name → base64. */
    pictures: Readonly<Record<string, string>>;
  }
}

/** No image library runs inside workerd, so the pictures are made here and handed to the tests there. */
export default async function setup(project: TestProject): Promise<void> {
  const made = await Promise.all(
    Object.entries(FILES).map(async ([name, make]) => [name, (await make()).toString("base64")] as const),
  );
  project.provide("pictures", Object.fromEntries(made));
}
