import type { Profile } from "./hottest.ts";

/**
 * The topics of samples, by the names of the functions on their stacks: a sample belongs to the first topic with a function on
 * its stack. The names are those in the sources; other samples are reported as the rest.
 */
const TOPICS: readonly (readonly [topic: string, functions: readonly string[]])[] = [
  ["nothing: waiting", ["(idle)"]],
  ["the runtime itself, outside of any function", ["(program)"]],
  ["collecting garbage", ["(garbage collector)"]],
  ["writing lines to the log (dearer while an inspector listens)", ["log"]],
  ["copying the image", ["#copyAll", "store", "take", "#pass", "byteChunks"]],
  ["the list: telling it, and its own rows", ["#tellCatalog", "recordAll", "record", "reserve"]],
  ["the lane's own decisions and rows", ["#decide", "#written", "enqueue", "release", "#offer", "#rows"]],
  ["storing the job's record", ["save"]],
  ["notifying watchers", ["tell", "toldAll", "frameText", "#tell"]],
  ["taking the submission", ["storeAndSubmit", "submitTo", "placeWithinLimit", "submit"]],
  ["calling the lane", ["#release", "#enqueue"]],
  ["calling upstream and reading its answer", ["#take", "readJob", "readJson", "open"]],
  ["the job's own decisions", ["apply", "pump"]],
];

/** Prints the share of the samples in each topic, the largest first. */
export function printTopics({ nodes }: Profile): void {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const hits = new Map<string, number>();
  let total = 0;
  const visit = (id: number, above: ReadonlySet<string>): void => {
    const node = byId.get(id);
    if (node === undefined) return;
    const stack = new Set([...above, node.callFrame.functionName]);
    const found = TOPICS.find(([, functions]) => functions.some((name) => stack.has(name)));
    const topic = found?.[0] ?? "the rest: routes, answers, reads";
    hits.set(topic, (hits.get(topic) ?? 0) + (node.hitCount ?? 0));
    total += node.hitCount ?? 0;
    for (const child of node.children ?? []) visit(child, stack);
  };
  const [root] = nodes;
  if (root === undefined) throw new Error("the profile is empty");
  visit(root.id, new Set());
  console.log("\nby what it is for");
  for (const [topic, count] of [...hits].sort(([, a], [, b]) => b - a)) {
    console.log(`${((100 * count) / total).toFixed(1).padStart(5)} %  ${topic}`);
  }
}
