import { readFileSync } from "node:fs";

/** A fenced block of a Markdown file. `info` is what follows the opening fence, like `ts` or `ts worker`. */
export interface CodeBlock {
  readonly file: string;
  /** The line of the opening fence, from 1. */
  readonly line: number;
  readonly info: string;
  readonly code: string;
}

/** Every fenced block of the file, in order. */
export function codeBlocks(file: string): CodeBlock[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    file,
    line: text.slice(0, match.index).split("\n").length,
    info: (match[1] ?? "").trim(),
    code: match[2] ?? "",
  }));
}
