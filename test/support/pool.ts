/** Does `work` on all, `width` at a time, and gives the results in order. The first that fails rejects. */
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
