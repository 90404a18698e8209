/** Where a ticket stands within its priority: by turn, then by the order of joining the turn. */
export interface QueueKey {
  readonly turn: number;
  readonly order: number;
}

/** A new key moves at most half a chunk, and a rank among 100 000 adds up at most 400 chunk lengths. */
const LONGEST_CHUNK = 512;

function isBefore(a: QueueKey, b: QueueKey): boolean {
  return a.turn < b.turn || (a.turn === b.turn && a.order < b.order);
}

/** The first of `length` positions for which `isBelow` is false; it must be true for all positions before. */
export function lowerBound(length: number, isBelow: (at: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Keys in order, in short sorted chunks: counts the keys before one without reading them all. In memory only. */
export class RankIndex<Key extends QueueKey = QueueKey> {
  #chunks: Key[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  first(): Key | null {
    return this.#chunks[0]?.[0] ?? null;
  }

  /** The last `order` in a turn; `null` when the turn is empty. */
  lastOrder(turn: number): number | null {
    const after = { turn: turn + 1, order: Number.NEGATIVE_INFINITY };
    const at = this.#chunkFor(after);
    const chunk = this.#chunks[at] ?? [];
    const index = this.#indexIn(chunk, after);
    const key = index > 0 ? chunk[index - 1] : this.#chunks[at - 1]?.at(-1);
    return key?.turn === turn ? key.order : null;
  }

  /** Adds a key unless it is in already. */
  add(key: Key): void {
    const at = Math.min(this.#chunkFor(key), Math.max(0, this.#chunks.length - 1));
    const chunk = this.#chunks[at];
    if (chunk === undefined) {
      this.#chunks.push([key]);
      this.#size = 1;
      return;
    }
    const index = this.#indexIn(chunk, key);
    if (isSame(chunk[index], key)) return;
    chunk.splice(index, 0, key);
    this.#size += 1;
    if (chunk.length > LONGEST_CHUNK) this.#chunks.splice(at + 1, 0, chunk.splice(LONGEST_CHUNK / 2));
  }

  /** Removes a key if it is in. */
  remove(key: QueueKey): void {
    const at = this.#chunkFor(key);
    const chunk = this.#chunks[at];
    if (chunk === undefined) return;
    const index = this.#indexIn(chunk, key);
    if (!isSame(chunk[index], key)) return;
    chunk.splice(index, 1);
    this.#size -= 1;
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** How many keys are before this one, whether or not it is in. */
  countBefore(key: QueueKey): number {
    const at = this.#chunkFor(key);
    let count = 0;
    for (let i = 0; i < at; i += 1) count += this.#chunks[i]?.length ?? 0;
    return count + this.#indexIn(this.#chunks[at] ?? [], key);
  }

  /** The first chunk that does not end before the key. */
  #chunkFor(key: QueueKey): number {
    return lowerBound(this.#chunks.length, (at) => {
      const last = this.#chunks[at]?.at(-1);
      return last !== undefined && isBefore(last, key);
    });
  }

  #indexIn(chunk: readonly Key[], key: QueueKey): number {
    return lowerBound(chunk.length, (at) => {
      const there = chunk[at];
      return there !== undefined && isBefore(there, key);
    });
  }
}

function isSame(a: QueueKey | undefined, b: QueueKey): boolean {
  return a !== undefined && a.turn === b.turn && a.order === b.order;
}
