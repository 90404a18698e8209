import { createHash } from "node:crypto";
import type { Actor } from "../engine/actor.ts";
import type { Sim } from "../engine/sim.ts";
import { connectionLost } from "./errors.ts";
import type { ClientEnd } from "./sockets.ts";

const RuntimeResponse = globalThis.Response;

/** The runtime's `Response`, with the status 101 and the socket that a Worker's response may have. */
export class SimResponse extends RuntimeResponse {
  override readonly webSocket: WebSocket | null;

  constructor(body?: BodyInit | null, init: ResponseInit & { webSocket?: ClientEnd | null } = {}) {
    const status = init.status ?? 200;
    super(body, status === 101 ? { headers: init.headers ?? {} } : init);
    // The runtime's `Response` refuses this status.
    if (status === 101) Object.defineProperty(this, "status", { value: 101 });
    // The client's end only leads to the connection.
    this.webSocket = (init.webSocket ?? null) as unknown as WebSocket | null;
  }
}

export function responseSocket(response: Response): ClientEnd | null {
  return response instanceof SimResponse ? (response.webSocket as unknown as ClientEnd | null) : null;
}

/** How an incomplete body ends: after `afterBytes` it errors, or no further byte comes until the reader stops. */
export interface BrokenBody {
  readonly afterBytes: number;
  readonly how: "breaks" | "hangs";
  readonly signal?: AbortSignal | null;
}

/** Bytes as one of the platform's streams. */
export function byteStream(bytes: Uint8Array, broken: BrokenBody | null = null): ReadableStream<Uint8Array> {
  const given = broken === null ? bytes : bytes.subarray(0, broken.afterBytes);
  const stream = new ReadableStream({
    type: "bytes",
    start(controller) {
      if (given.byteLength > 0) controller.enqueue(new Uint8Array(given));
      if (broken === null) controller.close();
      broken?.signal?.addEventListener("abort", () => controller.error(broken.signal?.reason), { once: true });
    },
    pull(controller) {
      if (broken?.how === "breaks") controller.error(connectionLost());
      // No further byte comes, and no error.
      if (broken?.how === "hangs") return new Promise(() => undefined);
    },
  });
  return Object.assign(stream, { fixedLength: bytes.byteLength });
}

/**
 * Connects a stream from one actor to another: chunks leave once the writes before them are durable, the stream errors for
 * its reader when its source dies, and is canceled for its source when the reader dies.
 */
export function bridgedResponse(
  sim: Sim,
  response: Response,
  source: Actor,
  reader: Actor,
  onEnd: () => void,
): Response {
  const { body } = response;
  if (body === null) return response;
  const stream = body.getReader();
  let isOver = false;
  const over = () => {
    if (isOver) return false;
    isOver = true;
    forget();
    forgetReader();
    onEnd();
    return true;
  };
  let fail: (error: Error) => void = () => undefined;
  const forget = source.onEnd(() => {
    if (over()) sim.clock.after(15, () => fail(connectionLost()));
  });
  const leave = () => {
    if (over()) sim.clock.after(15, () => source.enter(() => void stream.cancel().catch(() => undefined)));
  };
  const forgetReader = reader.onEnd(leave);
  let deliveredAtMs = 0;
  const bridged = new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        fail = (error) => reader.enter(() => controller.error(error));
      },
      pull: (controller) =>
        new Promise<void>((resolve) => {
          const deliver = (work: () => void) => {
            deliveredAtMs = Math.max(deliveredAtMs, sim.nowMs + sim.delayMs(`stream ${source.name}`, 1, 20));
            sim.clock.after(deliveredAtMs - sim.nowMs, () => {
              if (!isOver) reader.enter(work);
              resolve();
            });
          };
          const read = () =>
            stream.read().then(
              ({ done, value }) =>
                source.send(() =>
                  deliver(() => {
                    if (done) {
                      over();
                      controller.close();
                    } else controller.enqueue(value);
                  }),
                ),
              (error: unknown) =>
                source.send(() =>
                  deliver(() => {
                    over();
                    controller.error(error);
                  }),
                ),
            );
          source.run(read);
        }),
      cancel: leave,
    },
    { highWaterMark: 1 },
  );
  return new SimResponse(bridged, { status: response.status, headers: response.headers });
}

/** `FixedLengthStream`: passes bytes on, and fails when their number is not the promised one. */
export class SimFixedLengthStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;

  constructor(length: number | bigint) {
    const expected = Number(length);
    let bytes = 0;
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        if (bytes > expected) throw new TypeError("Attempt to write too many bytes through a FixedLengthStream.");
        controller.enqueue(new Uint8Array(chunk));
      },
      flush() {
        if (bytes < expected) throw new TypeError("FixedLengthStream did not see all expected bytes before close().");
      },
    });
    this.readable = Object.assign(readable, { fixedLength: expected });
    this.writable = writable;
  }
}

/** `crypto.DigestStream`. */
export class SimDigestStream extends WritableStream<Uint8Array> {
  readonly digest: Promise<ArrayBuffer>;

  constructor(algorithm: string) {
    const hash = createHash(algorithm.replace("-", "").toLowerCase());
    const { promise, resolve, reject } = Promise.withResolvers<ArrayBuffer>();
    super({
      write: (chunk) => {
        hash.update(chunk);
      },
      close: () => resolve(new Uint8Array(hash.digest()).buffer),
      abort: (reason) => reject(reason),
    });
    this.digest = promise;
  }
}

/** All bytes of a stream, read by its default reader. */
export async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
