/**
 * A text as searches compare it, in any script: letters of one size, without accents and other marks, in one form of Unicode,
 * with single spaces. `Café　雨` → `cafe 雨`.
 */
export function foldText(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .normalize("NFKC")
    .toLowerCase()
    .replace(/\s+/gu, " ")
    .trim();
}

/** The words of a search, each of which a text must contain, wherever and in whatever order. */
export function searchWords(query: string): string[] {
  const folded = foldText(query);
  return folded === "" ? [] : [...new Set(folded.split(" "))];
}
