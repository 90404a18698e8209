/** How a print is drawn before its image is made. Pure. */

/** Numbers in [0, 1) derived from a job's id, so that the same job always has the same latent image. */
export function latentOf(id: string): readonly [number, number, number, number] {
  let hash = 2_166_136_261;
  for (let index = 0; index < id.length; index++) {
    hash = Math.imul(hash ^ id.charCodeAt(index), 16_777_619) >>> 0;
  }
  const part = (shift: number) => ((hash >>> shift) & 0xff) / 256;
  return [part(0), part(8), part(16), part(24)];
}

/** The mat of a card, width over height. */
const MAT_SHAPE = 4 / 3;

/** The number of columns with which `count` prints of one shape are largest on a mat. */
export function sheetColumns(count: number, shape: number): number {
  let best = 1;
  let bestWidth = 0;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const width = Math.min(MAT_SHAPE / columns, shape / rows);
    if (width > bestWidth) {
      best = columns;
      bestWidth = width;
    }
  }
  return best;
}

/** Scales of the viewer: 1 is one image pixel to one CSS pixel. Pure. */

/** As large as the window allows, and never larger than true size. */
export const FIT = 0;

/** The scales that buttons and keys step through. */
const STOPS: readonly number[] = [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8];

interface Sides {
  readonly width: number;
  readonly height: number;
}

/** The scale at which the image fits into the box; 1 for an image smaller than the box, or a box that is not laid out yet. */
export function fitScale(image: Sides, box: Sides): number {
  if (box.width <= 0 || box.height <= 0) return 1;
  return Math.min(1, box.width / image.width, box.height / image.height);
}

/** The next stop in a direction; `FIT` in place of a stop at or below `fit`. */
export function stepScale(shown: number, direction: 1 | -1, fit: number): number {
  if (direction === 1) return STOPS.find((stop) => stop > shown + 0.001) ?? shown;
  const smaller = STOPS.findLast((stop) => stop < shown - 0.001);
  return smaller === undefined || smaller <= fit ? FIT : smaller;
}

/** `38 %`. */
export function scaleWords(scale: number): string {
  return `${Math.round(scale * 100)} %`;
}
