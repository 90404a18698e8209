import { createHash, webcrypto } from "node:crypto";
import { currentActor } from "../engine/actor.ts";
import type { Timer } from "../engine/clock.ts";
import { currentSim, isSimulating, ownRandom } from "../engine/sim.ts";
import { SimDigestStream, SimFixedLengthStream, SimResponse } from "./bodies.ts";
import { isPlatformError } from "./errors.ts";
import { SimAutoResponse, SimSocketPair } from "./sockets.ts";

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

const RealDate = Date;
const real = {
  random: Math.random,
  setTimeout,
  clearTimeout,
  setInterval,
  clearInterval,
  log: console.log,
  error: console.error,
};

let outgoing: Fetch = () => Promise.reject(new TypeError("fetch failed"));

/** Sets what answers `fetch`: upstream. */
export function setOutgoing(fetch: Fetch): void {
  outgoing = fetch;
}

/** Counts what an actor waits for, which keeps its object from hibernating. Set by the run. */
let onPending: (actor: object) => () => void = () => () => undefined;

export function setPendingCounter(counter: typeof onPending): void {
  onPending = counter;
}

interface Running {
  timer: Timer;
  readonly ended: () => void;
}

const timers = new WeakMap<object, Running>();

function start(work: (...args: unknown[]) => void, delayMs: number, everyMs: number | null, args: unknown[]): object {
  const sim = currentSim();
  const actor = currentActor();
  const ended = actor === null ? () => undefined : onPending(actor);
  const handle = {};
  const fire = () => {
    const running = timers.get(handle);
    if (running === undefined) return;
    if (everyMs === null) {
      timers.delete(handle);
      ended();
    } else if (actor?.isAlive !== false) running.timer = sim.clock.after(everyMs, fire);
    if (actor === null) work(...args);
    else actor.enter(() => work(...args));
  };
  timers.set(handle, { timer: sim.clock.after(delayMs, fire), ended });
  return handle;
}

function stop(handle: unknown): void {
  if (typeof handle !== "object" || handle === null) return;
  const running = timers.get(handle);
  if (running === undefined) return;
  timers.delete(handle);
  currentSim().clock.cancel(running.timer);
  running.ended();
}

const whole = (ms: unknown): number => (Number.isFinite(Number(ms)) ? Math.max(0, Number(ms)) : 0);

/** The time by the clock of the machine that runs now. */
const nowMs = (): number => (isSimulating() ? currentSim().nowMs + (currentActor()?.aheadMs ?? 0) : RealDate.now());

class SimDate extends RealDate {
  constructor(...args: [] | [number | string | Date]) {
    if (args.length === 0) super(nowMs());
    else super(...(args as [number]));
  }

  static override now(): number {
    return nowMs();
  }
}

function randomBytes<View extends ArrayBufferView>(view: View): View {
  const random = ownRandom(currentSim(), currentActor());
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  for (let index = 0; index < bytes.length; index++) bytes[index] = Math.floor(random() * 256);
  return view;
}

function randomUuid(): string {
  const bytes = randomBytes(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Aborts after virtual time. */
function timeoutSignal(ms: number): AbortSignal {
  const controller = new AbortController();
  start(
    () => controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError")),
    ms,
    null,
    [],
  );
  return controller.signal;
}

/** Signal → what aborts with it. One listener for each signal: Node compares a new listener with all that the signal has. */
const followers = new WeakMap<AbortSignal, Set<AbortController>>();

function follow(signal: AbortSignal, controller: AbortController): void {
  const known = followers.get(signal);
  if (known !== undefined) {
    known.add(controller);
    return;
  }
  const all = new Set([controller]);
  followers.set(signal, all);
  const abortAll = () => {
    for (const each of all) each.abort(signal.reason);
  };
  signal.addEventListener("abort", abortAll, { once: true });
}

/** Node's own refers weakly to composed signals, so it depends on when memory is collected. */
function anySignal(signals: Iterable<AbortSignal>): AbortSignal {
  const controller = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) {
      controller.abort(signal.reason);
      break;
    }
    follow(signal, controller);
  }
  return controller.signal;
}

const crypto = {
  randomUUID: randomUuid,
  getRandomValues: randomBytes,
  DigestStream: SimDigestStream,
  subtle: new Proxy(webcrypto.subtle, {
    get: (target, name) => {
      // The runtime's own answers from another thread, at a time that is not repeatable.
      if (name === "digest") {
        return async (algorithm: string | { readonly name: string }, data: ArrayBuffer | ArrayBufferView) => {
          const text = typeof algorithm === "string" ? algorithm : algorithm.name;
          const bytes =
            data instanceof ArrayBuffer
              ? new Uint8Array(data)
              : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
          return new Uint8Array(createHash(text.replace("-", "").toLowerCase()).update(bytes).digest()).buffer;
        };
      }
      if (name === "timingSafeEqual") {
        return (a: ArrayBuffer, b: ArrayBuffer) => Buffer.from(a).equals(Buffer.from(b));
      }
      const found: unknown = Reflect.get(target, name);
      if (typeof found !== "function") return found;
      return () => {
        throw new Error(`crypto.subtle.${String(name)} is not simulated: it answers from another thread`);
      };
    },
  }),
};

/**
 * Replaces Node's globals by the platform's: time, timers, randomness, fetch, sockets and streams are those of the run. For a
 * process that only simulates; outside of a run, time and randomness are the machine's.
 */
export function installGlobals(): void {
  const log = (...args: unknown[]) => {
    if (!isSimulating()) {
      real.log(...args);
      return;
    }
    const sim = currentSim();
    sim.tell(() => `log of ${sim.named(currentActor()?.name ?? "nobody")}: ${args.map(textOf).join(" ")}`);
  };
  Object.assign(globalThis, {
    Date: SimDate,
    setTimeout: (work: () => void, ms?: number, ...args: unknown[]) => start(work, whole(ms), null, args),
    clearTimeout: stop,
    setInterval: (work: () => void, ms?: number, ...args: unknown[]) =>
      start(work, whole(ms), Math.max(1, whole(ms)), args),
    clearInterval: stop,
    scheduler: {
      wait: (ms: number) => new Promise<void>((resolve) => start(() => resolve(), whole(ms), null, [])),
    },
    fetch: ((input, init) => outgoing(input, init)) satisfies Fetch,
    Response: SimResponse,
    WebSocketPair: SimSocketPair,
    WebSocketRequestResponsePair: SimAutoResponse,
    FixedLengthStream: SimFixedLengthStream,
  });
  Object.defineProperty(globalThis, "crypto", { value: crypto, configurable: true });
  Object.assign(AbortSignal, { timeout: timeoutSignal, any: anySignal });
  Math.random = () => (isSimulating() ? ownRandom(currentSim(), currentActor())() : real.random());
  Object.assign(console, { log, error: log, warn: log, info: log, debug: log });
  Object.assign(ReadableStreamBYOBReader.prototype, { readAtLeast });
  polyfillBase64();
  // The platform logs an unhandled rejection and continues. So does an instance that has lost its storage.
  process.on("unhandledRejection", (error) => {
    if (!isSimulating()) throw error;
    if (isPlatformError(error)) return;
    currentSim().violate(
      "no promise is left unhandled",
      error instanceof Error ? (error.stack ?? error.message) : String(error),
    );
  });
}

/** As on the platform: returns fewer bytes than `min` only at the end. */
async function readAtLeast(this: ReadableStreamBYOBReader, min: number, view: Uint8Array<ArrayBuffer>) {
  let { buffer } = view;
  // Each read detaches the buffer, and the view with it.
  const room = view.byteLength;
  let filled = 0;
  for (;;) {
    const { done, value } = await this.read(new Uint8Array(buffer, filled, room - filled));
    if (value !== undefined) {
      buffer = value.buffer as ArrayBuffer;
      filled += value.byteLength;
    }
    if (done || filled >= min) return { done: done && filled === 0, value: new Uint8Array(buffer, 0, filled) };
  }
}

/** Methods that the platform's engine has and Node 24's lacks. */
function polyfillBase64(): void {
  const prototype = Uint8Array.prototype as unknown as Record<string, unknown>;
  const define = (target: object, name: string, value: unknown) => {
    if (!(name in target)) Object.defineProperty(target, name, { value, configurable: true, writable: true });
  };
  define(prototype, "toHex", function toHex(this: Uint8Array) {
    return Buffer.from(this.buffer, this.byteOffset, this.byteLength).toString("hex");
  });
  define(prototype, "toBase64", function toBase64(this: Uint8Array) {
    return Buffer.from(this.buffer, this.byteOffset, this.byteLength).toString("base64");
  });
  define(prototype, "setFromBase64", function setFromBase64(this: Uint8Array, text: string) {
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new SyntaxError("not base64");
    const bytes = Buffer.from(text, "base64").subarray(0, this.byteLength);
    this.set(bytes);
    const isWhole = bytes.byteLength === Buffer.byteLength(text, "base64");
    return { read: isWhole ? text.length : Math.floor(bytes.byteLength / 3) * 4, written: bytes.byteLength };
  });
  define(Uint8Array, "fromBase64", (text: string) => {
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new SyntaxError("not base64");
    return new Uint8Array(Buffer.from(text, "base64"));
  });
  define(Uint8Array, "fromHex", (text: string) => new Uint8Array(Buffer.from(text, "hex")));
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    return JSON.stringify(value);
  } catch {
    return String(value);
  }
}

/** The machine's own functions, for reports about runs. */
export const machine = {
  nowMs: (): number => RealDate.now(),
  print: (text: string): void => real.log(text),
};
