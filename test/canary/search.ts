import type { Needle } from "./marks.ts";

/** The kinds of places to which a secret can leak. */
export type PlaceKind =
  | "answer"
  | "frame"
  | "stored row"
  | "stored blob"
  | "log"
  | "sent upstream"
  | "sent to a webhook"
  | "command line"
  | "left behind"
  | "page"
  | "bundle";

/** One thing to search: an answer with its headers, a frame, a file. */
export interface Place {
  readonly kind: PlaceKind;
  readonly name: string;
  readonly bytes: Buffer;
}

export interface Leak {
  readonly kind: PlaceKind;
  readonly place: string;
  readonly secret: string;
  readonly form: string;
  readonly offset: number;
}

/** How many first bytes of the needles decide whether a position is examined: most positions are skipped. */
const HEAD_BYTES = 3;

/** Searches for all needles in one pass over the bytes. */
export function searcherFor(needles: readonly Needle[]): (place: Place) => Leak[] {
  const byHead = Map.groupBy(needles, ({ bytes }) => bytes.readUIntBE(0, HEAD_BYTES));
  const isHead = new Uint8Array(2 ** (8 * HEAD_BYTES));
  for (const head of byHead.keys()) isHead[head] = 1;
  return ({ kind, name, bytes }) => {
    const leaks: Leak[] = [];
    let head = 0;
    for (let end = 0; end < bytes.length; end++) {
      head = ((head << 8) | (bytes[end] ?? 0)) & 0xffffff;
      if (isHead[head] === 0 || end < HEAD_BYTES - 1) continue;
      const offset = end - HEAD_BYTES + 1;
      for (const { secret, form, bytes: needle } of byHead.get(head) ?? []) {
        const isThere = needle.equals(bytes.subarray(offset, offset + needle.length));
        if (isThere) leaks.push({ kind, place: name, secret, form, offset });
      }
    }
    return leaks;
  };
}

/** A summary of the search for people: bytes and places of each kind. */
export function counted(places: readonly Place[]): string {
  const lines = Array.from(
    Map.groupBy(places, ({ kind }) => kind),
    ([kind, found]) => {
      const bytes = found.reduce((sum, place) => sum + place.bytes.length, 0);
      return `${kind}: ${found.length} places, ${bytes} bytes`;
    },
  );
  const bytes = places.reduce((sum, place) => sum + place.bytes.length, 0);
  return [...lines, `all: ${places.length} places, ${bytes} bytes`].join("\n");
}
