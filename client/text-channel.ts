/**
 * Texts from a callback to an async reader, in order. `end` lets the reader have what came before it, then ends with the
 * given value; only the first `end` counts.
 */
export class TextChannel<End> {
  readonly #texts: string[] = [];
  #ended: { readonly value: End } | null = null;
  #wake: (() => void) | null = null;

  /** Texts that wait for the reader. */
  get backlog(): number {
    return this.#texts.length;
  }

  push(text: string): void {
    if (this.#ended !== null) return;
    this.#texts.push(text);
    this.#wake?.();
  }

  end(value: End): void {
    this.#ended ??= { value };
    this.#wake?.();
  }

  /** The next text, or how it ended. One reader at a time. */
  async next(): Promise<{ readonly text: string } | { readonly end: End }> {
    for (;;) {
      const text = this.#texts.shift();
      if (text !== undefined) return { text };
      if (this.#ended !== null) return { end: this.#ended.value };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }
}
