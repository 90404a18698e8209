/**
 * Where the Worker's time goes while jobs are submitted, polled or run: `node bench/profile.ts submit|poll`. Writes a
 * `.cpuprofile` that Chrome opens, and prints which functions were on the processor.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { WebSocket } from "ws";
import { freePort } from "../test/support/free-port.ts";
import { load } from "./load/load.ts";
import { ARTIFACTS } from "./sides/build.ts";
import { type Contestant, readRequest, start, submitJobs, submitRequest } from "./sides/contestants.ts";
import { startEmulator } from "./sides/emulator.ts";

/** Functions printed, of each kind. */
const SHOWN = 45;

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly hitCount?: number;
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
}

/** Talks to the inspector of the Worker that `name` says. */
async function inspect(port: number): Promise<(method: string, params?: object) => Promise<unknown>> {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as { webSocketDebuggerUrl: string }[];
  const target = targets[0];
  if (target === undefined) throw new Error("the inspector shows no Worker");
  const socket = new WebSocket(target.webSocketDebuggerUrl, { maxPayload: 1 << 30 });
  await new Promise((open, failed) => socket.once("open", open).once("error", failed));
  let lastId = 0;
  const waiting = new Map<number, (result: unknown) => void>();
  socket.on("message", (data) => {
    const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
    if (id !== undefined) waiting.get(id)?.(result);
  });
  return (method, params = {}) => {
    const id = ++lastId;
    const answered = Promise.withResolvers<unknown>();
    waiting.set(id, answered.resolve);
    socket.send(JSON.stringify({ id, method, params }));
    return answered.promise;
  };
}

/** Of each function: the share of the time in itself, and in itself and all that it called. */
function printHottest({ nodes }: Profile): void {
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
    // A function within itself is counted once.
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

async function main(): Promise<void> {
  const what = process.argv[2] ?? "submit";
  // A name of one of the three; anything else fails at once.
  const name = (process.argv[3] ?? "darkroom") as Contestant;
  const inspectorPort = await freePort();
  const emulator = await startEmulator(["--latency", "10m", "--quota", "off", "--images", "small-file"]);
  const side = await start(name, { emulator, inspectorPort });
  try {
    const ids = await submitJobs(name, side.url, 200);
    const send = await inspect(inspectorPort);
    await send("Profiler.enable");
    await send("Profiler.setSamplingInterval", { interval: 200 });
    await send("Profiler.start");
    const requests = what === "poll" ? ids.map((id) => readRequest(name, id)) : [submitRequest(name)];
    const amount = what === "poll" ? 10_000 : 2_000;
    const task = { url: side.url, connections: 16, amount, requests };
    const result = await load(task, what === "poll" ? 200 : 202);
    const { profile } = (await send("Profiler.stop")) as { profile: Profile };
    const path = `${ARTIFACTS}/${what}-${name}.cpuprofile`;
    mkdirSync(ARTIFACTS, { recursive: true });
    writeFileSync(path, JSON.stringify(profile));
    console.log(`${result.perSecond.toFixed(0)}/s\n${path}`);
    printHottest(profile);
  } finally {
    await side.end();
    await emulator.end();
  }
  process.exit(0);
}

await main();
