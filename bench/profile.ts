/**
 * Where the Worker's time goes while jobs are submitted, polled or run: `node bench/profile.ts submit|poll`. Writes a
 * `.cpuprofile` that Chrome opens, and prints which functions were on the processor.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { WebSocket } from "ws";
import { load } from "./load/load.ts";
import { ARTIFACTS } from "./sides/build.ts";
import { type Contestant, readRequest, start, submitJobs, submitRequest } from "./sides/contestants.ts";
import { startEmulator } from "./sides/emulator.ts";

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly hitCount?: number;
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  await new Promise<void>((closed) => server.close(() => closed()));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
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

function printHottest({ nodes }: Profile): void {
  const hits = new Map<string, number>();
  for (const { callFrame, hitCount = 0 } of nodes) {
    const name = `${callFrame.functionName || "(anonymous)"} :${callFrame.lineNumber + 1}`;
    hits.set(name, (hits.get(name) ?? 0) + hitCount);
  }
  const total = [...hits.values()].reduce((sum, value) => sum + value, 0);
  const hottest = [...hits].sort(([, a], [, b]) => b - a).slice(0, 40);
  for (const [name, count] of hottest) console.log(`${((100 * count) / total).toFixed(1).padStart(5)} %  ${name}`);
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
