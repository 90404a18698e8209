/** The width of the left column, in which times and words stand. */
const COLUMN = 12;

/** One line of the text view: a time or a word, and what is said of it. */
export function textRow(left: string, right: string): string {
  return `  ${left.padEnd(COLUMN)}${right}`.trimEnd();
}
