import { randomBytes } from "node:crypto";
import { freePort } from "../../test/support/free-port.ts";
import { peakHeapMb } from "../profiling/heap.ts";
import { inspect } from "../profiling/inspector.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { NOWHERE, start, TOKEN } from "../sides/contestants.ts";
import type { Side } from "../sides/side.ts";
import { spreadOf } from "../statistics.ts";

const IMAGES = 3;
/** Just below the bound of an image. */
const IMAGE_BYTES = 10 * 1024 * 1024 - 64;
/** Half of an isolate's memory, which all its requests and objects share. */
const MOST_MB = 64;
/** A character outside Latin-1 makes V8 store the whole text, and every part of it, with two bytes per character. */
const PROMPT = "把图1的标志放在图2的包上";

type Inspector = Awaited<ReturnType<typeof inspect>>;

/** A PNG by its structure: a header, data that nobody decodes, and an end. */
function image(): Uint8Array<ArrayBuffer> {
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const chunk = (name: string, data: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.byteLength);
    return Buffer.concat([length, Buffer.from(name, "latin1"), data, Buffer.alloc(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(1024, 0);
  header.writeUInt32BE(1024, 4);
  header.set([8, 2], 8);
  const end = Buffer.from([0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82]);
  const frame = Buffer.concat([signature, chunk("IHDR", header)]);
  const filler = randomBytes(IMAGE_BYTES - frame.byteLength - end.byteLength - 12);
  return new Uint8Array(Buffer.concat([frame, chunk("IDAT", filler), end]));
}

const headers = { accept: "application/json", authorization: `Bearer ${TOKEN}` };

function formBody(): { body: BodyInit; headers: Record<string, string> } {
  const form = new FormData();
  for (let index = 0; index < IMAGES; index++) form.append("image[]", new Blob([image()]), `${index}.png`);
  form.append("prompt", PROMPT);
  return { body: form, headers };
}

function jsonBody(): { body: BodyInit; headers: Record<string, string> } {
  const images = Array.from(
    { length: IMAGES },
    () => `data:image/png;base64,${Buffer.from(image()).toString("base64")}`,
  );
  const body = JSON.stringify({ prompt: PROMPT, images });
  return { body, headers: { ...headers, "content-type": "application/json" } };
}

/** The highest heap during a submission, in MB. */
async function peakMb(side: Side, ask: Inspector, request: { body: BodyInit; headers: Record<string, string> }) {
  const { peak } = await peakHeapMb(ask, async () => {
    const url = `${side.url}/api/workflows/image-from-reference`;
    const answer = await fetch(url, { method: "POST", ...request });
    const text = await answer.text();
    if (answer.status !== 202) throw new Error(`the submission was answered ${answer.status}: ${text}`);
  });
  return peak;
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const rounds = quick ? 3 : 9;
  const found: Record<"JSON" | "multipart", number[]> = { JSON: [], multipart: [] };
  const port = await freePort();
  const side = await start("darkroom", { emulator: NOWHERE, inspectorPort: port });
  try {
    const ask = await inspect(port);
    for (let round = 0; round < rounds; round++) {
      for (const [name, bodyOf] of [
        ["multipart", formBody],
        ["JSON", jsonBody],
      ] as const) {
        const peak = await peakMb(side, ask, bodyOf());
        found[name].push(peak);
        say(`${name}: ${peak.toFixed(1)} MB`);
      }
    }
  } finally {
    await side.end();
  }
  return (["multipart", "JSON"] as const).map((name) => ({
    what: `peak JS heap of a submit with ${IMAGES} × 10 MB images, ${name}`,
    unit: "MB",
    value: spreadOf(found[name]),
    bar: { kind: "at most", value: MOST_MB },
    note: "heap and the buffers outside of it, sampled by the inspector",
  }));
}

export const submitHeapRow: Row = {
  name: "submit-heap",
  about: "peak JS heap of a submission with three images of 10 MB",
  kind: "amounts",
  run,
};
