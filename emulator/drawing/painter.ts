import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { installFonts } from "./fonts.ts";
import { framesFor, type Picture, pictureSvg } from "./picture.ts";
import { imprint, paddedTo } from "./png.ts";

/** A preview of an input image; `null` when the image could not be read. */
export type InputPreview = Buffer | null;

/** How many bytes of files stay in memory. The oldest are dropped first, and can be drawn or read again. */
const MEMORY_BYTES = 256 * 1024 * 1024;
/** Higher levels hardly make gradients smaller, and cost time. */
const PNG_COMPRESSION = 3;

/** Buffers by name, up to a total size. */
class BufferCache {
  readonly #buffers = new Map<string, Buffer>();
  #bytes = 0;

  get(name: string): Buffer | undefined {
    const buffer = this.#buffers.get(name);
    if (buffer === undefined) return undefined;
    // The most recently used is dropped last.
    this.#buffers.delete(name);
    this.#buffers.set(name, buffer);
    return buffer;
  }

  set(name: string, buffer: Buffer): void {
    if (this.#buffers.has(name) || buffer.length > MEMORY_BYTES) return;
    this.#buffers.set(name, buffer);
    this.#bytes += buffer.length;
    for (const [oldest, { length }] of this.#buffers) {
      if (this.#bytes <= MEMORY_BYTES) return;
      this.#buffers.delete(oldest);
      this.#bytes -= length;
    }
  }
}

async function draw(picture: Picture, inputs: readonly InputPreview[]): Promise<Buffer> {
  const frames = framesFor(picture, inputs.length);
  const laid = await Promise.all(
    inputs.flatMap((input, index) => {
      const frame = frames[index];
      if (input === null || frame === undefined) return [];
      const resized = sharp(input).resize(frame.width, frame.height, { fit: "cover" }).toBuffer();
      return [resized.then((image) => ({ input: image, left: frame.left, top: frame.top }))];
    }),
  );
  return sharp(Buffer.from(pictureSvg(picture, inputs.length)))
    .composite(laid)
    .removeAlpha()
    .png({ compressionLevel: PNG_COMPRESSION })
    .toBuffer();
}

/** Draws pictures and keeps their files: in `folder` when there is one, so that links work after a restart. */
export class Painter {
  readonly #folder: string | null;
  readonly #cache = new BufferCache();
  /** How to draw again what was dropped from memory. Not needed with a folder. */
  readonly #recipes = new Map<string, () => Promise<Buffer>>();
  readonly #drawing = new Map<string, Promise<Buffer>>();

  constructor(folder: string | null) {
    installFonts();
    this.#folder = folder;
    if (folder !== null) mkdirSync(folder, { recursive: true });
  }

  /** Draws the picture unless it was drawn before. Returns the name by which `file` finds it. The file is on disk by then. */
  async paint(picture: Picture, inputs: readonly InputPreview[]): Promise<string> {
    const hash = createHash("sha256").update(JSON.stringify(picture));
    for (const input of inputs) hash.update(input ?? "none");
    const name = hash.digest("hex").slice(0, 32);
    const recipe = async (): Promise<Buffer> => imprint(await draw(picture, inputs), picture);
    if (this.#folder === null) this.#recipes.set(name, recipe);
    else if (existsSync(join(this.#folder, `${name}.png`))) return name;
    const png = await this.#once(name, recipe);
    if (this.#folder !== null) {
      const file = join(this.#folder, `${name}.png`);
      writeFileSync(`${file}.part`, png);
      renameSync(`${file}.part`, file);
    }
    return name;
  }

  /** The file of a painted picture, padded to `bytes` or unpadded; null when no picture has this name. */
  async file(name: string, bytes: number | null): Promise<Buffer | null> {
    const whole = `${name} ${bytes}`;
    const known = this.#cache.get(whole);
    if (known !== undefined) return known;
    const png = await this.#base(name);
    if (png === null) return null;
    const file = bytes === null ? png : paddedTo(png, bytes);
    this.#cache.set(whole, file);
    return file;
  }

  async #base(name: string): Promise<Buffer | null> {
    const known = this.#cache.get(name);
    if (known !== undefined) return known;
    if (this.#folder !== null) {
      const file = join(this.#folder, `${name}.png`);
      return existsSync(file) ? readFileSync(file) : null;
    }
    const recipe = this.#recipes.get(name);
    return recipe === undefined ? null : this.#once(name, recipe);
  }

  /** Concurrent requests for the same picture draw it once. */
  #once(name: string, recipe: () => Promise<Buffer>): Promise<Buffer> {
    const cached = this.#cache.get(name);
    if (cached !== undefined) return Promise.resolve(cached);
    const running = this.#drawing.get(name);
    if (running !== undefined) return running;
    const drawing = recipe()
      .then((png) => {
        this.#cache.set(name, png);
        return png;
      })
      .finally(() => this.#drawing.delete(name));
    this.#drawing.set(name, drawing);
    return drawing;
  }
}
