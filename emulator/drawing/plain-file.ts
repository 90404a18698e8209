import { hashText } from "../core/random.ts";
import { paddedTo, plainPng, withWords } from "./png.ts";

/** What a plain file depends on. */
export interface PlainSource {
  readonly prompt: string;
  readonly model: string;
  readonly width: number;
  readonly height: number;
  readonly seed: number;
  readonly index: number;
}

/** What a file says of itself, so that it can be told whose image it is. */
export function imprint(png: Buffer, { prompt, model, seed, index }: PlainSource): Buffer {
  return withWords(png, {
    Description: prompt,
    Comment: `seed ${seed}, image ${index}`,
    Software: `darkroom-emulator ${model}`,
  });
}

/** A picture of one colour in a file of `bytes`, or as small as it comes: made anew each time, and always the same. */
export function plainFile(source: PlainSource, bytes: number | null): Buffer {
  const { prompt, seed, index, width, height } = source;
  const hash = hashText(`${prompt}\n${seed}\n${index}`);
  const png = imprint(plainPng(width, height, [hash & 0xff, (hash >>> 8) & 0xff, (hash >>> 16) & 0xff]), source);
  return bytes === null ? png : paddedTo(png, bytes);
}
