/** Scales of the viewer: 1 is one image pixel to one CSS pixel. Pure. */

/** As large as the window allows, and never larger than true size. */
export const FIT = 0;

/** The stops that buttons and keys go through. */
const STOPS: readonly number[] = [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8];

interface Sides {
  readonly width: number;
  readonly height: number;
}

/** The scale at which the image fits into the box; 1 for an image smaller than it, or a box that is not laid out yet. */
export function fitScale(image: Sides, box: Sides): number {
  if (box.width <= 0 || box.height <= 0) return 1;
  return Math.min(1, box.width / image.width, box.height / image.height);
}

/** The next stop in a direction; smaller than fitting goes back to `FIT`. */
export function stepScale(shown: number, direction: 1 | -1, fit: number): number {
  if (direction === 1) return STOPS.find((stop) => stop > shown + 0.001) ?? shown;
  const smaller = STOPS.findLast((stop) => stop < shown - 0.001);
  return smaller === undefined || smaller <= fit ? FIT : smaller;
}

/** `38 %`. */
export function scaleWords(scale: number): string {
  return `${Math.round(scale * 100)} %`;
}
