/** Stored before any global is replaced. A run uses no other macrotask of this process. */
const nextTurn = setImmediate;

/** An event at a moment. It can be canceled until it happens. */
export interface Timer {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | null;
}

/**
 * Virtual time. Only the events that were put here happen. Between two events every promise that can continue does so, so
 * that the order of everything is decided by time and, within a moment, by the order of insertion.
 */
export class Clock {
  nowMs: number;
  #heap: Timer[] = [];
  #order = 0;
  events = 0;

  constructor(startMs: number) {
    this.nowMs = startMs;
  }

  /** Times are whole ms, as on the platform's clock; fractions are rounded up. */
  after(delayMs: number, run: () => void): Timer {
    const timer = { atMs: this.nowMs + Math.max(0, Math.ceil(delayMs)), order: this.#order++, run };
    this.#push(timer);
    return timer;
  }

  cancel(timer: Timer | null | undefined): void {
    if (timer != null) timer.run = null;
  }

  get nextAtMs(): number | null {
    this.#dropCanceled();
    return this.#heap[0]?.atMs ?? null;
  }

  /** Runs events up to `untilMs`, or until `isOver`. */
  run(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    return inTurns(() => {
      if (isOver()) return false;
      const atMs = this.nextAtMs;
      if (atMs === null || atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return false;
      }
      const timer = this.#pop();
      this.nowMs = timer.atMs;
      this.events += 1;
      timer.run?.();
      return true;
    });
  }

  #dropCanceled(): void {
    while (this.#heap[0]?.run === null) this.#pop();
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Timer;
      if (isBefore(above, timer)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): Timer {
    const heap = this.#heap;
    const first = heap[0] as Timer;
    const last = heap.pop() as Timer;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Timer, heap[child] as Timer)) child += 1;
      if (isBefore(last, heap[child] as Timer)) break;
      heap[at] = heap[child] as Timer;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** How many events share one turn of the event loop, because each turn costs a system call. */
const TURNS_AT_ONCE = 64;

/**
 * Calls `step` until it returns false, each time when no promise can continue by itself: the runtime empties the queue of
 * microtasks between two immediates.
 */
function inTurns(step: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let isDone = false;
    const turn = () => {
      if (isDone) return;
      try {
        if (step()) return;
        resolve();
      } catch (error) {
        reject(error as Error);
      }
      isDone = true;
    };
    const turns = () => {
      for (let count = 1; count < TURNS_AT_ONCE; count++) nextTurn(turn);
      nextTurn(() => {
        turn();
        if (!isDone) turns();
      });
    };
    turns();
  });
}
