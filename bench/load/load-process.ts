/** The load, in a process of its own: takes a `LoadTask` as JSON on its input, prints a `LoadResult` as JSON. */
import { text } from "node:stream/consumers";
import autocannon, { type Client } from "autocannon";
import type { LoadResult, LoadTask } from "./load.ts";

// `load.ts` wrote the input.
const task = JSON.parse(await text(process.stdin)) as LoadTask;
const { connections, requests, url, amount } = task;
const startedAtMs = performance.now();
let lastAnswerAtMs = startedAtMs;
/** Each connection begins elsewhere in the list: else all would ask for one job at once, and then all for the next. */
let connection = 0;
const setupClient = (client: Client): void => {
  const from = Math.floor((connection++ * requests.length) / connections);
  client.setRequests([...requests.slice(from), ...requests.slice(0, from)]);
};
const run = autocannon({ url, connections, requests, timeout: 60, amount, setupClient });
run.on("response", () => {
  lastAnswerAtMs = performance.now();
});
const result = await run;
// autocannon checks once a second whether it is done, so its own duration is in whole seconds.
const tookMs = lastAnswerAtMs - startedAtMs;
const answer: LoadResult = {
  perSecond: (result.requests.total * 1000) / tookMs,
  tookMs,
  total: result.requests.total,
  p50Ms: result.latency.p50,
  p99Ms: result.latency.p99,
  statuses: Object.fromEntries(Object.entries(result.statusCodeStats).map(([status, { count }]) => [status, count])),
  failures: result.errors + result.timeouts,
};
console.log(JSON.stringify(answer));
