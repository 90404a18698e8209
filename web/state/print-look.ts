/** How a print that is not there yet is drawn. Pure. */

/** Numbers in [0, 1) drawn from a job's id: the same job always has the same latent image. */
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

/** How many columns show `count` prints of one shape largest on a mat. */
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
