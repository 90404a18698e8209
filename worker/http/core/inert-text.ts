/**
 * What a terminal could act on or be deceived by: control characters (ANSI sequences begin with one), and the marks that
 * turn the direction of text or have no width.
 */
const ACTIVE = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]/gu;

/** Somebody else's text for a terminal, on one line: what is active in it is spelled out, like \u{1b}. */
export function inertText(text: string): string {
  return text.replace(ACTIVE, (found) =>
    found === "\n" || found === "\t" ? " " : `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

const LINE_CHARS = 96;
const MAX_LINES = 24;

/** Somebody else's text as lines that each begin with a bar, so that none of them can pass for ours. */
export function quotedLines(text: string): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split(/\r?\n/)) {
    let line = "";
    for (const word of inertText(paragraph).split(/(?<= )/)) {
      if (line !== "" && line.length + word.trimEnd().length > LINE_CHARS) {
        lines.push(line.trimEnd());
        line = "";
      }
      line += word;
    }
    lines.push(line.trimEnd());
  }
  const shown = lines.slice(0, MAX_LINES).map((line) => `  | ${line}`.trimEnd());
  return lines.length > MAX_LINES ? [...shown, `  | … and ${lines.length - MAX_LINES} more lines`] : shown;
}

/** One argument of a shell command, whatever is in it. */
export function shellQuoted(text: string): string {
  return `'${inertText(text).replaceAll("'", "'\\''")}'`;
}
