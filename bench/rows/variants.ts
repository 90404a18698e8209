import { freePort } from "../../test/support/free-port.ts";
import { MODEL_TABLE } from "../../worker/dashscope/model-table.ts";
import { inspect } from "../profiling/inspector.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { start, TOKEN } from "../sides/contestants.ts";
import { type RunningEmulator, startEmulator } from "../sides/emulator.ts";
import type { Side } from "../sides/side.ts";
import { spreadOf } from "../statistics.ts";

const MEGABYTE = 1_000_000;
/** Half of an isolate's memory in production, because it serves other requests meanwhile. */
const MOST_MB = 64;
const headers = { accept: "application/json", authorization: `Bearer ${TOKEN}` };

/** The variants that take the most memory: the largest of each type at the highest quality, and the one that the wall shows. */
const ASKS = ["w=320", "w=1280&q=100", "format=jpeg&q=100", "format=png"];

interface Pictured {
  readonly model: string;
  readonly size: string;
}

/** The sizes at the ends of what each model of the table makes, each with one model that makes it. */
function sizesOfModels(): readonly Pictured[] {
  const models = new Map<string, string>();
  const add = (size: string, model: string) => {
    if (!models.has(size)) models.set(size, model);
  };
  for (const [model, { sizes, workflows }] of Object.entries(MODEL_TABLE)) {
    if (!workflows.includes("image-from-text")) continue;
    if (sizes.kind === "fixed") for (const size of sizes.sizes) add(size, model);
    if (sizes.kind === "sides") add(`${sizes.max}*${sizes.max}`, model);
    if (sizes.kind !== "area") continue;
    for (const ratio of [1, sizes.maxRatio]) {
      const height = Math.floor(Math.sqrt(sizes.maxArea / ratio));
      const width = Math.floor(height * ratio);
      add(`${width}*${height}`, model);
      add(`${height}*${width}`, model);
    }
  }
  return [...models].map(([size, model]) => ({ size, model }));
}

async function imageOf(side: Side, { model, size }: Pictured): Promise<string> {
  const response = await fetch(`${side.url}/api/workflows/image-from-text`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json", prefer: "wait=60" },
    body: JSON.stringify({ prompt: `a picture of ${size}`, model, size }),
  });
  const job = (await response.json()) as { id: string; status: string };
  if (job.status !== "succeeded") throw new Error(`${model} at ${size} answered ${JSON.stringify(job)}`);
  return `${side.url}/api/jobs/${job.id}/images/0`;
}

/** The WebAssembly memory of a variant from the log's line, which the inspector does not count. Null for another line. */
function wasmBytesOf(method: string, params: unknown): number | null {
  if (method !== "Runtime.consoleAPICalled") return null;
  const { args } = params as { args: { value?: unknown }[] };
  const line = String(args[0]?.value);
  return line.includes('"variant_made"') ? (JSON.parse(line) as { wasmBytes: number }).wasmBytes : null;
}

interface HeapUsage {
  readonly usedSize: number;
  readonly embedderHeapUsedSize?: number;
  readonly backingStorageSize?: number;
}

interface Made {
  readonly bytes: number;
  readonly tookMs: number;
  /** The inspector's highest sample of heap and buffers, garbage included. */
  readonly jsMb: number;
  readonly wasmMb: number;
}

/** Makes one variant in a new Worker, so that the garbage of an earlier variant does not count. */
async function make(emulator: RunningEmulator, laneLimits: string, pictured: Pictured, ask: string): Promise<Made> {
  const inspectorPort = await freePort();
  const side = await start("darkroom", { emulator, vars: { LANE_LIMITS: laneLimits }, inspectorPort });
  try {
    const image = await imageOf(side, pictured);
    let wasmBytes: number | null = null;
    const send = await inspect(inspectorPort, (method, params) => {
      wasmBytes = wasmBytesOf(method, params) ?? wasmBytes;
    });
    await send("Runtime.enable");
    const beganAtMs = performance.now();
    const asked = fetch(`${image}?${ask}`, { headers }).then(async (response) => {
      if (!response.ok) throw new Error(`${pictured.size} ?${ask} answered ${response.status}`);
      const { byteLength } = await response.arrayBuffer();
      return { bytes: byteLength, tookMs: performance.now() - beganAtMs };
    });
    let done = false;
    const settle = () => {
      done = true;
    };
    asked.then(settle, settle);
    let jsBytes = 0;
    while (!done) {
      const usage = (await send("Runtime.getHeapUsage")) as HeapUsage;
      const held = usage.usedSize + (usage.embedderHeapUsedSize ?? 0) + (usage.backingStorageSize ?? 0);
      jsBytes = Math.max(jsBytes, held);
    }
    const made = await asked;
    if (wasmBytes === null) throw new Error(`the log says nothing of ${pictured.size} ?${ask}`);
    return { ...made, jsMb: jsBytes / MEGABYTE, wasmMb: wasmBytes / MEGABYTE };
  } finally {
    await side.end();
  }
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const sizes = quick ? sizesOfModels().slice(0, 3) : sizesOfModels();
  const limits = Object.fromEntries(
    sizes.map(({ model }) => [model, { starts: 1000, periodMs: 1000, inProgress: null }]),
  );
  const emulator = await startEmulator(["--latency", "0", "--spread", "0", "--quota", "off"]);
  const made: Made[] = [];
  try {
    for (const pictured of sizes) {
      for (const ask of ASKS) {
        const one = await make(emulator, JSON.stringify(limits), pictured, ask);
        made.push(one);
        const memory = `${one.jsMb.toFixed(1)} MB of JS and ${one.wasmMb.toFixed(1)} MB of WebAssembly at most`;
        say(`${pictured.size} ?${ask}: ${one.bytes} bytes in ${one.tookMs.toFixed(0)} ms; ${memory}`);
      }
    }
  } finally {
    await emulator.end();
  }
  const peaks = spreadOf(made.map(({ jsMb, wasmMb }) => jsMb + wasmMb));
  return [
    {
      what: "most JS and WebAssembly memory of the isolate while a variant is made, over every size that models make",
      unit: "MB",
      value: { ...peaks, median: peaks.max },
      bar: { kind: "at most", value: MOST_MB },
    },
    {
      what: "a variant, made when first asked for",
      unit: "ms",
      value: spreadOf(made.map(({ tookMs }) => tookMs)),
      bar: null,
    },
  ];
}

/** Whether making a variant of any image that a model makes fits an isolate's memory. */
export const variantsRow: Row = {
  name: "variants",
  kind: "amounts",
  about: "memory and time of making image variants",
  run,
};
