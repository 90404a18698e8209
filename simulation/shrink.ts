import type { Part } from "./engine/sim.ts";
import type { Product } from "./product.ts";
import { type RunResult, runWorld } from "./world.ts";

/** The most runs that a shorter story is worth. */
const MOST_RUNS = 400;

export interface Shrunk {
  readonly part: Part;
  /** The same violation in the smallest run found, with its story. */
  readonly result: RunResult;
  readonly runs: number;
}

/** Shrinks a run that violates an invariant as long as it violates the same one: fewer jobs, acts and faults. */
export async function shrink(product: Product, first: RunResult, invariant: string): Promise<Shrunk> {
  const { seed } = first;
  let runs = 0;
  const fails = async (part: Part): Promise<RunResult | null> => {
    if (runs >= MOST_RUNS) return null;
    runs += 1;
    const result = await runWorld(product, { seed, part });
    return result.violations.some((violation) => violation.invariant === invariant) ? result : null;
  };
  let part: Part = { leftOut: new Set(), strikesAt: new Set(first.hits.map(({ at }) => at)), isPrompt: false };

  /** Leaves out as many of `items` as possible, halves first. `without` returns the part without the given ones. */
  const reduce = async (items: readonly string[], without: (gone: readonly string[]) => Part): Promise<void> => {
    for (let size = Math.ceil(items.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < items.length; at += size) {
        const next = without(items.slice(at, at + size));
        const isSame = next.leftOut.size === part.leftOut.size && next.strikesAt.size === part.strikesAt.size;
        if (!isSame && (await fails(next)) !== null) part = next;
      }
      if (size === 1) return;
    }
  };
  const withoutNames = (gone: readonly string[]): Part => ({ ...part, leftOut: new Set([...part.leftOut, ...gone]) });
  const withoutStrikes = (gone: readonly string[]): Part => ({
    ...part,
    strikesAt: new Set([...part.strikesAt].filter((at) => !gone.includes(at))),
  });
  for (let before = -1; before !== part.leftOut.size - part.strikesAt.size && runs < MOST_RUNS; ) {
    before = part.leftOut.size - part.strikesAt.size;
    await reduce([...part.strikesAt], withoutStrikes);
    await reduce(
      first.names.filter((name) => !part.leftOut.has(name)),
      withoutNames,
    );
  }
  const prompt = { ...part, isPrompt: true };
  if ((await fails(prompt)) !== null) part = prompt;
  return { part, result: await runWorld(product, { seed, part, isTold: true }), runs };
}

/** The story of a run up to the violation of `invariant`, or to its end. */
export function storyOf(result: RunResult, invariant: string | null): string[] {
  const violation = result.violations.find((each) => each.invariant === invariant);
  const end = violation?.atMs ?? Number.POSITIVE_INFINITY;
  return result.lines
    .filter(({ atMs }) => atMs <= end)
    .map(({ atMs, text }) => `${((atMs - result.startMs) / 1000).toFixed(3).padStart(10)} s  ${text}`);
}
