/** How many functions are printed in each list. */
const SHOWN = 45;

/** The parts of the inspector's profile that are read. */
interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly hitCount?: number;
  readonly children?: readonly number[];
}

export interface Profile {
  readonly nodes: readonly ProfileNode[];
}

/** Prints for each function the share of the time in itself, and in itself with all that it called. */
export function printHottest({ nodes }: Profile): void {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const self = new Map<string, number>();
  const inclusive = new Map<string, number>();
  const add = (hits: Map<string, number>, name: string, count: number): void => {
    hits.set(name, (hits.get(name) ?? 0) + count);
  };
  const visit = ({ callFrame, hitCount = 0, children = [] }: ProfileNode, above: ReadonlySet<string>): number => {
    const name = `${callFrame.functionName || "(anonymous)"}:${callFrame.lineNumber + 1}`;
    add(self, name, hitCount);
    const within = new Set([...above, name]);
    let total = hitCount;
    for (const id of children) {
      const child = byId.get(id);
      if (child !== undefined) total += visit(child, within);
    }
    // A recursive function is counted once.
    if (!above.has(name)) add(inclusive, name, total);
    return total;
  };
  const [root] = nodes;
  if (root === undefined) throw new Error("the profile is empty");
  const total = visit(root, new Set());
  const print = (title: string, hits: ReadonlyMap<string, number>): void => {
    console.log(`\n${title}`);
    const hottest = [...hits].sort(([, a], [, b]) => b - a).slice(0, SHOWN);
    for (const [name, count] of hottest) console.log(`${((100 * count) / total).toFixed(1).padStart(5)} %  ${name}`);
  };
  print("in itself", self);
  print("with all that it called", inclusive);
}
