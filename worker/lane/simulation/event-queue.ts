interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

function isSooner(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Events in virtual time: the earliest first, and of equal times the one scheduled first. A binary heap. */
export class EventQueue {
  readonly #heap: Scheduled[] = [];
  #scheduled = 0;
  #now: number;

  constructor(startAtMs: number) {
    this.#now = startAtMs;
  }

  get now(): number {
    return this.#now;
  }

  /** A time in the past counts as now. */
  at(atMs: number, run: () => void): void {
    this.#scheduled += 1;
    const added = { atMs: Math.max(atMs, this.#now), order: this.#scheduled, run };
    const heap = this.#heap;
    let index = heap.push(added) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isSooner(added, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = added;
  }

  /** Runs what is scheduled up to `untilMs`, and what that schedules. Answers whether any event is left. */
  runUntil(untilMs: number): boolean {
    for (let next = this.#heap[0]; next !== undefined; next = this.#heap[0]) {
      if (next.atMs > untilMs) break;
      this.#pop();
      this.#now = next.atMs;
      next.run();
    }
    if (Number.isFinite(untilMs)) this.#now = Math.max(this.#now, untilMs);
    return this.#heap.length > 0;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const leftOne = heap[left];
      if (leftOne === undefined) break;
      const rightOne = heap[left + 1];
      const isRight = rightOne !== undefined && isSooner(rightOne, leftOne);
      const child = isRight ? rightOne : leftOne;
      if (!isSooner(child, last)) break;
      heap[index] = child;
      index = isRight ? left + 1 : left;
    }
    heap[index] = last;
  }
}
