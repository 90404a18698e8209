/** Runs `work` on all items, `width` at a time, and returns the results in order. Rejects with the first failure. */
export async function inPool<Item, Done>(
  width: number,
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<Done>,
): Promise<Done[]> {
  const done: Done[] = [];
  const next = items.entries();
  const worker = async () => {
    for (const [index, item] of next) done[index] = await work(item, index);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return done;
}
