import type { Figure } from "./report.ts";

/** How much a row measures. */
export interface Effort {
  /** A short form: fewer rounds, smaller numbers; for a look, not for quoting. */
  readonly quick: boolean;
  /** One line to the terminal while it goes on. */
  readonly say: (line: string) => void;
}

/** One row of the report: measures, and answers its figures. Throws when it could not measure what it promises. */
export interface Row {
  readonly name: string;
  readonly about: string;
  /**
   * "speed" measures how fast something goes, and nothing else may run meanwhile. "amounts" counts what does not depend on
   * how fast it goes. "waiting" leaves the machine all but idle for minutes, and may do so beside amounts.
   */
  readonly kind: "speed" | "amounts" | "waiting";
  readonly run: (effort: Effort) => Promise<Figure[]>;
}
