/** Words of the API or of upstream as the page shows them. Pure. */

/** The text with a capital at its start, where its first letter has one. */
export function capitalised(text: string): string {
  const [first = ""] = text;
  return first.toUpperCase() + text.slice(first.length);
}

/** The text with a capital and a full stop, where they are missing. */
export function asSentence(text: string): string {
  const capital = capitalised(text.trim());
  return /[.!?…]["”)]?$/.test(capital) ? capital : `${capital}.`;
}
