/** The delay before a try is repeated, doubled after each failure up to the cap; in ms. */
const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 60_000;

/** Allows one run of some work at a time, and after a failure only after a growing delay. Kept in memory only, as is the work. */
export class RetryClock {
  #busy = false;
  #failures = 0;
  #againAtMs: number | null = null;

  get busy(): boolean {
    return this.#busy;
  }

  /** When the work may be tried again; null: now, or it is under way. */
  get againAtMs(): number | null {
    return this.#busy ? null : this.#againAtMs;
  }

  mayStart(nowMs: number): boolean {
    return !this.#busy && (this.#againAtMs === null || nowMs >= this.#againAtMs);
  }

  /** Runs `work`; never rejects. */
  async run(work: () => Promise<void>, onError: (error: unknown) => void): Promise<void> {
    this.#busy = true;
    try {
      await work();
      this.#failures = 0;
      this.#againAtMs = null;
    } catch (error) {
      const delayMs = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
      this.#failures += 1;
      this.#againAtMs = Date.now() + delayMs;
      onError(error);
    } finally {
      this.#busy = false;
    }
  }
}
