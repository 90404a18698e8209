/** Each item with its React key: its text, numbered among the items with the same text, so that no two keys are equal. */
export function keyed<Item>(items: readonly Item[], textOf: (item: Item) => string) {
  const seen = new Map<string, number>();
  return items.map((item) => {
    const text = textOf(item);
    const number = seen.get(text) ?? 0;
    seen.set(text, number + 1);
    return { key: `${number} ${text}`, item };
  });
}
