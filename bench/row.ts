import type { Figure } from "./report.ts";

/** How much a row measures. */
export interface Effort {
  /** The short form: fewer rounds, smaller numbers; its figures are not for quoting. */
  readonly quick: boolean;
  /** Prints one line of progress to the terminal. */
  readonly say: (line: string) => void;
}

/** One row of the report. `run` measures and returns its figures; it throws when it could not measure them. */
export interface Row {
  readonly name: string;
  readonly about: string;
  /**
   * "speed" measures speed, and nothing else may run meanwhile. "amounts" counts what does not depend on speed. "waiting"
   * leaves the machine almost idle for minutes, and may run beside amounts.
   */
  readonly kind: "speed" | "amounts" | "waiting";
  readonly run: (effort: Effort) => Promise<Figure[]>;
}
