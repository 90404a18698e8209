import type { Diagnosis } from "../../../schemas/doctor.ts";

/** Text for people at a terminal. Pure. */

/**
 * What could act on a terminal or deceive its reader: control characters (ANSI sequences begin with one), and marks that turn
 * the direction of text or have no width.
 */
const ACTIVE = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]/gu;

/** Somebody else's text for a terminal, on one line. Active characters are spelled out, like \u{1b}. */
export function inertText(text: string): string {
  return text.replace(ACTIVE, (found) =>
    found === "\n" || found === "\t" ? " " : `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

const LINE_CHARS = 96;
const MAX_LINES = 24;

/** Somebody else's text as lines that each begin with a bar, so that none of them looks like one of ours. */
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

/** The width of the left column, in which times and words stand. */
const COLUMN = 12;

/** One line of the text view: a time or a word, and its text. */
export function textRow(left: string, right: string): string {
  return `  ${left.padEnd(COLUMN)}${right}`.trimEnd();
}

/** `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`: two units at most, nothing below 0.1 s. */
export function durationText(ms: number): string {
  const tenths = Math.round(Math.max(0, ms) / 100);
  if (tenths < 100) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const units: [number, string][] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = units.findIndex(([length]) => seconds >= length);
  const parts = units.slice(first, first + 2).map(([length, name], index) => {
    const whole =
      index === 0 ? Math.floor(seconds / length) : Math.floor((seconds % (units[first]?.[0] ?? 1)) / length);
    return { whole, name };
  });
  return parts
    .filter(({ whole }) => whole > 0)
    .map(({ whole, name }) => `${whole} ${name}`)
    .join(" ");
}

/** `12:03:30`, after the day unless that is `day` (`2026-11-23`). UTC. */
export function clockText(at: string, day: string): string {
  const time = at.slice(11, 19);
  return at.startsWith(day) ? time : `${at.slice(0, 10)} ${time}`;
}

/** `in 20 s`, or `20 s ago`. */
export function fromNowText(at: string, nowMs: number): string {
  const ms = Date.parse(at) - nowMs;
  return ms >= 0 ? `in ${durationText(ms)}` : `${durationText(-ms)} ago`;
}

/** `1.5 MB`, `230 KB`. */
export function bytesText(bytes: number): string {
  const kilobytes = Math.ceil(bytes / 1000);
  return kilobytes >= 1000 ? `${(bytes / 1_000_000).toFixed(1)} MB` : `${kilobytes} KB`;
}

/** A diagnosis for a terminal: one line for each check, and below a failed one how to mend it. */
export function diagnosisText({ ok, version, time, checks }: Diagnosis): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap((check) => {
    const word = check.ok === null ? "?" : check.ok ? "ok" : "WRONG";
    const line = `  ${word.padEnd(6)} ${check.name.padEnd(width)}  ${inertText(check.seen)}`;
    return check.fix === null ? [line] : [line, `         ${" ".repeat(width)}  → ${inertText(check.fix)}`];
  });
  const failed = checks.filter((check) => check.ok === false).length;
  const verdict = ok ? "All is well." : `${failed} of ${checks.length} checks failed.`;
  return `Darkroom ${version}, ${time}\n\n${lines.join("\n")}\n\n${verdict}\n`;
}
