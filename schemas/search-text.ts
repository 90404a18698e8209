/**
 * The form in which searches compare texts of any script: lower case, without accents and other marks, in one normal form of
 * Unicode, with single spaces. `Café　雨` → `cafe 雨`.
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

/** The words of a search. A text must contain all of them, in any order. */
export function searchWords(query: string): string[] {
  const folded = foldText(query);
  return folded === "" ? [] : [...new Set(folded.split(" "))];
}
