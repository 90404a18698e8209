/** Words of the API or of upstream as the page shows them. Pure. */

/** Begins with a capital, where it begins with a letter that has one. */
export function capitalised(text: string): string {
  const [first = ""] = text;
  return first.toUpperCase() + text.slice(first.length);
}

/** A capital and a full stop, where they are missing. */
export function asSentence(text: string): string {
  const capital = capitalised(text.trim());
  return /[.!?…]["”)]?$/.test(capital) ? capital : `${capital}.`;
}
