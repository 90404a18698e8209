/** Where a job stands within its priority: by turn, then by the order of joining the turn. */
export interface LineKey {
  readonly turn: number;
  readonly seq: number;
}

/** Half of it are moved at most when a key comes in, and as many lists are added up for a rank among 100 000. */
const LONGEST_CHUNK = 512;

function isBefore(a: LineKey, b: LineKey): boolean {
  return a.turn < b.turn || (a.turn === b.turn && a.seq < b.seq);
}

/** The first position in a sorted list whose key is not before `key`. */
function lowerBound(length: number, isBelow: (at: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The keys of one priority's line in order, in short sorted lists: says how many are before one without reading the
 * line. Lives in memory only; the stored line is the truth.
 */
export class LineIndex<Key extends LineKey = LineKey> {
  #chunks: Key[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  #chunkFor(key: LineKey): number {
    return lowerBound(this.#chunks.length, (at) => {
      const last = this.#chunks[at]?.at(-1);
      return last !== undefined && isBefore(last, key);
    });
  }

  first(): Key | null {
    return this.#chunks[0]?.[0] ?? null;
  }

  last(): Key | null {
    return this.#chunks.at(-1)?.at(-1) ?? null;
  }

  /** The last `seq` of a turn; `null` when nobody stands in it. */
  lastSeq(turn: number): number | null {
    const after = { turn: turn + 1, seq: Number.NEGATIVE_INFINITY };
    const at = this.#chunkFor(after);
    const chunk = this.#chunks[at] ?? [];
    const index = lowerBound(chunk.length, (i) => isBefore(chunk[i] ?? after, after));
    const key = index > 0 ? chunk[index - 1] : this.#chunks[at - 1]?.at(-1);
    return key?.turn === turn ? key.seq : null;
  }

  /** A key that is in already is not added again. */
  add(key: Key): void {
    const at = Math.min(this.#chunkFor(key), Math.max(0, this.#chunks.length - 1));
    const chunk = this.#chunks[at];
    if (chunk === undefined) {
      this.#chunks.push([key]);
      this.#size = 1;
      return;
    }
    const index = lowerBound(chunk.length, (i) => isBefore(chunk[i] ?? key, key));
    const there = chunk[index];
    if (there !== undefined && there.turn === key.turn && there.seq === key.seq) return;
    chunk.splice(index, 0, key);
    this.#size += 1;
    if (chunk.length > LONGEST_CHUNK) this.#chunks.splice(at + 1, 0, chunk.splice(LONGEST_CHUNK / 2));
  }

  /** A key that is not in changes nothing. */
  remove(key: LineKey): void {
    const at = this.#chunkFor(key);
    const chunk = this.#chunks[at];
    if (chunk === undefined) return;
    const index = lowerBound(chunk.length, (i) => isBefore(chunk[i] ?? key, key));
    const there = chunk[index];
    if (there === undefined || there.turn !== key.turn || there.seq !== key.seq) return;
    chunk.splice(index, 1);
    this.#size -= 1;
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** How many keys are before this one, whether or not it is in. */
  countBefore(key: LineKey): number {
    const at = this.#chunkFor(key);
    let count = 0;
    for (let i = 0; i < at; i += 1) count += this.#chunks[i]?.length ?? 0;
    const chunk = this.#chunks[at] ?? [];
    return count + lowerBound(chunk.length, (i) => isBefore(chunk[i] ?? key, key));
  }
}
