interface MediaRange {
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
}

/** The header read last: nearly all who ask send one of two or three, and each answer looks at it twice. */
let lastRead: { readonly accept: string; readonly ranges: readonly MediaRange[] } = { accept: "", ranges: [] };

function readAccept(accept: string): readonly MediaRange[] {
  if (lastRead.accept !== accept) lastRead = { accept, ranges: parseAccept(accept) };
  return lastRead.ranges;
}

/** RFC 9110 12.5.1; a range that cannot be read is left out, as is one of quality 0's own kind of no. */
function parseAccept(accept: string): MediaRange[] {
  const ranges: MediaRange[] = [];
  for (const part of accept.split(",")) {
    const [range = "", ...parameters] = part.split(";").map((piece) => piece.trim().toLowerCase());
    const [type, subtype] = range.split("/");
    if (type === undefined || subtype === undefined || type === "" || subtype === "") continue;
    const q = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    const quality = q === undefined ? 1 : /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(q) ? Number(q) : 1;
    ranges.push({ type, subtype, quality });
  }
  return ranges;
}

function specificity(range: MediaRange): number {
  return (range.type === "*" ? 0 : 2) + (range.subtype === "*" ? 0 : 1);
}

function qualityOf(mediaType: string, ranges: readonly MediaRange[]): { quality: number; exact: number } {
  const [type, subtype] = mediaType.split("/");
  let best: MediaRange | null = null;
  for (const range of ranges) {
    if ((range.type !== "*" && range.type !== type) || (range.subtype !== "*" && range.subtype !== subtype)) continue;
    if (best === null || specificity(range) > specificity(best)) best = range;
  }
  return best === null ? { quality: 0, exact: 0 } : { quality: best.quality, exact: specificity(best) };
}

/**
 * The offered media type that the client likes best; null when it takes none of them. Of equally liked ones the more
 * exactly named wins, then the first offered. No `Accept` takes anything.
 */
export function chooseType<Offer extends string>(accept: string | undefined, offers: readonly [Offer, ...Offer[]]) {
  if (accept === undefined || accept.trim() === "") return offers[0];
  const ranges = readAccept(accept);
  let chosen: Offer | null = null;
  let best = { quality: 0, exact: 0 };
  for (const offer of offers) {
    const liked = qualityOf(offer, ranges);
    if (liked.quality > best.quality || (liked.quality === best.quality && liked.exact > best.exact)) {
      chosen = offer;
      best = liked;
    }
  }
  return best.quality > 0 ? chosen : null;
}

/** Whether `Accept` names this very media type, so that a program and not a person is at the other end. */
export function asksFor(accept: string | undefined, mediaType: string): boolean {
  if (accept === undefined || !accept.toLowerCase().includes(mediaType)) return false;
  return readAccept(accept).some((range) => `${range.type}/${range.subtype}` === mediaType && range.quality > 0);
}
