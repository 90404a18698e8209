/**
 * Makes an image smaller while its rows arrive, so that the large one is never in memory. Pure.
 *
 * Quality: a box filter brings the image near twice the wanted size, a Catmull-Rom cubic does the rest. Light is averaged, not
 * its sRGB encoding, so a pattern of fine black and white lines becomes as bright a grey as the eye sees from afar. Colours
 * are weighted by their opacity, so what is invisible does not bleed into edges.
 */

/** Steps of the table that encodes light: fine enough that each of the 256 levels converts to light and back unchanged. */
const LIGHT_STEPS = 16_383;

function lightOf(level: number): number {
  const value = level / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

function levelOf(light: number): number {
  const value = light <= 0.0031308 ? light * 12.92 : 1.055 * light ** (1 / 2.4) - 0.055;
  return Math.round(value * 255);
}

/** sRGB level → linear light, 0…1. */
const LIGHT = Float32Array.from({ length: 256 }, (_, level) => lightOf(level));
/** Linear light in steps → sRGB level. */
const LEVEL = Uint8Array.from({ length: LIGHT_STEPS + 1 }, (_, step) => levelOf(step / LIGHT_STEPS));

const CHANNELS = 4;

/** Which samples make one sample of the result, and with which weights. The weights' sum is 1. */
interface Taps {
  readonly first: number;
  readonly weights: Float32Array;
}

/** Catmull-Rom: sharp, with little ringing. It uses two samples on each side. */
const REACH = 2;
function catmullRom(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((2.5 - 0.5 * x) * x - 4) * x + 2 : 0;
}

/** `length` counts the samples in units of one: the last sample may stand for less than the others. */
function tapsOf(samples: number, length: number, results: number): readonly Taps[] {
  const scale = length / results;
  const reach = REACH * Math.max(1, scale);
  return Array.from({ length: results }, (_, result) => {
    const centre = (result + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach));
    const end = Math.min(samples, Math.ceil(centre + reach));
    const weights = Float32Array.from({ length: end - first }, (_, at) =>
      catmullRom((first + at + 0.5 - centre) / Math.max(1, scale)),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** How many samples one box averages. At least a halving is left for the cubic. */
function boxOf(from: number, to: number): number {
  return Math.max(1, Math.floor(from / to / 2));
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A whole image in memory, RGBA, not premultiplied. */
export interface Frame extends Size {
  readonly frame: Uint8ClampedArray<ArrayBuffer>;
}

export function isOpaque(frame: Uint8ClampedArray): boolean {
  for (let at = 3; at < frame.length; at += CHANNELS) if (frame[at] !== 255) return false;
  return true;
}

export class Downscaler {
  readonly #from: Size;
  readonly #to: Size;
  readonly #boxWidth: number;
  readonly #boxHeight: number;
  /** The light of the box row that is being summed. Colours are weighted by opacity. */
  readonly #box: Float32Array;
  readonly #columns: readonly Taps[];
  readonly #rows: readonly Taps[];
  /** A box row at the result's width. */
  readonly #narrow: Float32Array;
  /** Rows of the result that are being summed, by number modulo their count. */
  readonly #sums: readonly Float32Array[];
  readonly #frame: Uint8ClampedArray<ArrayBuffer>;
  #rowsTaken = 0;
  #boxRows = 0;
  #rowsDone = 0;

  /** `to` is in no dimension larger than `from`. */
  constructor(from: Size, to: Size) {
    this.#from = from;
    this.#to = to;
    this.#boxWidth = boxOf(from.width, to.width);
    this.#boxHeight = boxOf(from.height, to.height);
    const boxColumns = Math.ceil(from.width / this.#boxWidth);
    this.#box = new Float32Array(boxColumns * CHANNELS);
    this.#columns = tapsOf(boxColumns, from.width / this.#boxWidth, to.width);
    const boxRows = Math.ceil(from.height / this.#boxHeight);
    this.#rows = tapsOf(boxRows, from.height / this.#boxHeight, to.height);
    this.#narrow = new Float32Array(to.width * CHANNELS);
    const widest = Math.max(...this.#rows.map(({ weights }) => weights.length));
    this.#sums = Array.from({ length: widest + 1 }, () => new Float32Array(to.width * CHANNELS));
    this.#frame = new Uint8ClampedArray(to.width * to.height * CHANNELS);
  }

  /** Takes the next row from the top: RGBA, not premultiplied. The row is not kept. */
  add(row: Uint8Array): void {
    if (this.#from.width === this.#to.width && this.#from.height === this.#to.height) {
      this.#frame.set(row.subarray(0, this.#from.width * CHANNELS), this.#rowsTaken * this.#from.width * CHANNELS);
      this.#rowsTaken += 1;
      return;
    }
    this.#sumUp(row);
    this.#rowsTaken += 1;
    const rowsInBox = this.#rowsTaken - this.#boxRows * this.#boxHeight;
    if (rowsInBox < this.#boxHeight && this.#rowsTaken < this.#from.height) return;
    this.#narrowBox(rowsInBox);
    this.#spread();
    this.#boxRows += 1;
    this.#box.fill(0);
  }

  #sumUp(row: Uint8Array): void {
    const box = this.#box;
    const { width } = this.#from;
    const boxWidth = this.#boxWidth;
    for (let at = 0, x = 0; x < width; at += CHANNELS) {
      let red = 0;
      let green = 0;
      let blue = 0;
      let alpha = 0;
      for (const end = Math.min(x + boxWidth, width); x < end; x++) {
        const pixel = x * CHANNELS;
        const opacity = (row[pixel + 3] as number) / 255;
        red += (LIGHT[row[pixel] as number] as number) * opacity;
        green += (LIGHT[row[pixel + 1] as number] as number) * opacity;
        blue += (LIGHT[row[pixel + 2] as number] as number) * opacity;
        alpha += opacity;
      }
      box[at] = (box[at] as number) + red;
      box[at + 1] = (box[at + 1] as number) + green;
      box[at + 2] = (box[at + 2] as number) + blue;
      box[at + 3] = (box[at + 3] as number) + alpha;
    }
  }

  /** The averaged box row at the result's width. */
  #narrowBox(rowsInBox: number): void {
    const box = this.#box;
    const lastSamples = this.#from.width - (box.length / CHANNELS - 1) * this.#boxWidth;
    const share = 1 / (this.#boxWidth * rowsInBox);
    const last = box.length - CHANNELS;
    for (let at = 0; at < last; at++) box[at] = (box[at] as number) * share;
    for (let at = last; at < box.length; at++) box[at] = (box[at] as number) / (lastSamples * rowsInBox);
    const narrow = this.#narrow;
    for (let column = 0; column < this.#columns.length; column++) {
      const { first, weights } = this.#columns[column] as Taps;
      let red = 0;
      let green = 0;
      let blue = 0;
      let alpha = 0;
      for (let tap = 0, at = first * CHANNELS; tap < weights.length; tap++, at += CHANNELS) {
        const weight = weights[tap] as number;
        red += (box[at] as number) * weight;
        green += (box[at + 1] as number) * weight;
        blue += (box[at + 2] as number) * weight;
        alpha += (box[at + 3] as number) * weight;
      }
      const to = column * CHANNELS;
      narrow[to] = red;
      narrow[to + 1] = green;
      narrow[to + 2] = blue;
      narrow[to + 3] = alpha;
    }
  }

  /** Adds the narrow row to each row of the result that needs it, and writes the complete ones. */
  #spread(): void {
    const narrow = this.#narrow;
    for (let row = this.#rowsDone; row < this.#rows.length; row++) {
      const { first, weights } = this.#rows[row] as Taps;
      if (this.#boxRows < first) return;
      const weight = weights[this.#boxRows - first] ?? 0;
      const sum = this.#sums[row % this.#sums.length] as Float32Array;
      for (let at = 0; at < sum.length; at++) sum[at] = (sum[at] as number) + (narrow[at] as number) * weight;
      if (this.#boxRows < first + weights.length - 1) continue;
      this.#write(row, sum);
      sum.fill(0);
      this.#rowsDone += 1;
    }
  }

  #write(row: number, sum: Float32Array): void {
    const frame = this.#frame;
    let to = row * this.#to.width * CHANNELS;
    for (let at = 0; at < sum.length; at += CHANNELS, to += CHANNELS) {
      const alpha = Math.min(1, sum[at + 3] as number);
      if (alpha <= 0) continue;
      for (let channel = 0; channel < 3; channel++) {
        const light = Math.min(1, Math.max(0, (sum[at + channel] as number) / alpha));
        frame[to + channel] = LEVEL[(light * LIGHT_STEPS + 0.5) | 0] as number;
      }
      frame[to + 3] = alpha * 255;
    }
  }

  /** The result, RGBA, once every row was added. */
  finish(): Uint8ClampedArray<ArrayBuffer> {
    return this.#frame;
  }
}
