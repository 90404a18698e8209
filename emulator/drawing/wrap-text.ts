/** Lines of text for a picture, in any script. Pure: widths are estimated, not measured. */

const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Extended_Pictographic}\u3000-\u303f\uff00-\uffef]/u;
const NARROW = /[ iljtfrI.,:;'!|()[\]]/;
const MARK = /^\p{M}$/u;
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}]/u;
const LETTER = /\p{L}/u;

/** The width of one grapheme in ems. Estimated wide, so that a line ends early rather than overflows. */
function emsOf(grapheme: string): number {
  const first = String.fromCodePoint(grapheme.codePointAt(0) ?? 32);
  if (MARK.test(first)) return 0;
  if (WIDE.test(first)) return 1.05;
  if (NARROW.test(first)) return 0.42;
  if (/[mwMW@%—]/.test(first)) return 1.1;
  return /[A-Z]/.test(first) ? 0.82 : 0.7;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const words = new Intl.Segmenter(undefined, { granularity: "word" });

/** Estimated width in ems. */
export function textWidthEms(text: string): number {
  let ems = 0;
  for (const { segment } of graphemes.segment(text)) ems += emsOf(segment);
  return ems;
}

/** Whether the text is read from right to left: its first letter decides. */
export function isRightToLeft(text: string): boolean {
  for (const character of text) if (LETTER.test(character)) return RIGHT_TO_LEFT.test(character);
  return false;
}

/** Words, each with the text up to the next one. A word wider than a line is cut by graphemes. */
function pieces(text: string, maxEms: number): string[] {
  const found: string[] = [];
  for (const { segment, isWordLike } of words.segment(text)) {
    const last = found.at(-1);
    // Punctuation and spaces stay with the text before them, so that no line begins with a comma.
    if (last !== undefined && !isWordLike && !/\s$/.test(last)) found[found.length - 1] = last + segment;
    else found.push(segment);
  }
  return found.flatMap((piece) => {
    if (textWidthEms(piece) <= maxEms) return [piece];
    const cut: string[] = [""];
    for (const { segment } of graphemes.segment(piece)) {
      if (textWidthEms(cut[cut.length - 1] + segment) > maxEms) cut.push("");
      cut[cut.length - 1] += segment;
    }
    return cut;
  });
}

/** At most `maxLines` lines of at most `maxEms` each. Text that does not fit ends in an ellipsis. White space becomes one space. */
export function wrapText(text: string, maxEms: number, maxLines: number): string[] {
  // Characters that XML cannot hold are not drawn.
  const clean = text
    .toWellFormed()
    .replace(/[\p{Cc}\uFFFE\uFFFF\s]+/gu, " ")
    .trim();
  const lines: string[] = [];
  let line = "";
  for (const piece of pieces(clean, maxEms)) {
    if (line !== "" && textWidthEms((line + piece).trimEnd()) > maxEms) {
      lines.push(line.trim());
      line = "";
      if (lines.length > maxLines) break;
    }
    line += piece;
  }
  if (line.trim() !== "") lines.push(line.trim());
  if (lines.length <= maxLines) return lines;
  const kept = lines.slice(0, maxLines);
  const last = Array.from(graphemes.segment(kept[maxLines - 1] ?? ""), ({ segment }) => segment);
  while (last.length > 0 && textWidthEms(`${last.join("")}…`) > maxEms) last.pop();
  kept[maxLines - 1] = `${last.join("").trimEnd()}…`;
  return kept;
}

/** The text escaped for XML. */
export function escapeXml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&apos;");
}
