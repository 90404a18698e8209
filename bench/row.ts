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
  readonly run: (effort: Effort) => Promise<Figure[]>;
}
