/** One process of a simulation: runs the given seeds and sends their results. Started by `main.ts`. */
import type { Cell } from "./coverage.ts";
import type { FaultName } from "./engine/faults.ts";
import { plantedFault } from "./planted.ts";
import { coverage, loadProduct } from "./product.ts";
import { shrink, storyOf } from "./shrink.ts";
import { runWorld } from "./world.ts";

/** `planted`: the fault that is planted in the product; null for none. */
export type Order = { readonly planted: string | null } & (
  | { readonly type: "run"; readonly from: number; readonly count: number; readonly untilFound: string | null }
  /** `invariant`: the violation to explain; null for the first. */
  | { readonly type: "explain"; readonly seed: number; readonly isWhole: boolean; readonly invariant: string | null }
);

export interface Finding {
  readonly seed: number;
  readonly invariant: string;
  readonly detail: string;
}

export type Report =
  | { readonly type: "ready" }
  | {
      readonly type: "ran";
      readonly seeds: number;
      readonly lives: number;
      readonly events: number;
      readonly digests: readonly string[];
      readonly findings: readonly Finding[];
      readonly faults: Readonly<Partial<Record<FaultName, number>>>;
      readonly cells: Readonly<Record<string, Cell>>;
    }
  | { readonly type: "explained"; readonly seed: number; readonly lines: readonly string[]; readonly summary: string };

const productWith = (planted: string | null) => loadProduct(planted === null ? null : plantedFault(planted));
// The first load sets the hooks.
await productWith(null);

function answer(report: Report): void {
  process.send?.(report);
}

async function run(order: Extract<Order, { type: "run" }>): Promise<void> {
  const product = await productWith(order.planted);
  let lives = 0;
  let events = 0;
  let seeds = 0;
  const digests: string[] = [];
  const findings: Finding[] = [];
  const faults: Partial<Record<FaultName, number>> = {};
  coverage.cells.clear();
  for (let seed = order.from; seed < order.from + order.count; seed++) {
    const result = await runWorld(product, { seed });
    seeds += 1;
    lives += result.lives;
    events += result.events;
    digests.push(result.digest);
    for (const [name, count] of result.faults) faults[name] = (faults[name] ?? 0) + count;
    for (const { invariant, detail } of result.violations) findings.push({ seed, invariant, detail });
    if (findings.some(({ invariant }) => invariant === order.untilFound)) break;
  }
  const cells = Object.fromEntries(coverage.cells);
  answer({ type: "ran", seeds, lives, events, digests, findings, faults, cells });
}

async function explain(order: Extract<Order, { type: "explain" }>): Promise<void> {
  const { seed, isWhole } = order;
  const product = await productWith(order.planted);
  const first = await runWorld(product, { seed, isTold: isWhole });
  const invariant = order.invariant ?? first.violations[0]?.invariant;
  if (isWhole || invariant === undefined) {
    const summary = `${first.lives} lives, ${first.hits.length} faults, ${first.violations.length} violations`;
    answer({ type: "explained", seed, lines: storyOf(first, null), summary });
    return;
  }
  const { result, part, runs } = await shrink(product, first, invariant);
  const gone = `${first.hits.length} faults and ${first.names.length} parts of its plan`;
  const left = `${part.strikesAt.size} faults and ${first.names.length - part.leftOut.size} parts, in ${runs} runs`;
  answer({ type: "explained", seed, lines: storyOf(result, invariant), summary: `shrunk from ${gone} to ${left}` });
}

process.on("message", (order: Order) => {
  void (order.type === "run" ? run(order) : explain(order));
});
// On an interrupt the parent process ends this one.
process.on("SIGINT", () => undefined);
answer({ type: "ready" });
