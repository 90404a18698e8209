import { createHash, randomBytes } from "node:crypto";
import { requestIdOf } from "./core/ids.ts";
import type { Painter } from "./drawing/painter.ts";
import type { EmulatorState } from "./emulator-state.ts";
import type { UploadFiles } from "./upload-routes.ts";
import type { Arrival } from "./wire-response.ts";

/** The emulator's clock. Tests pass their own. */
export interface Clock {
  /** Epoch ms. */
  now(): number;
  /** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
    }),
};

/** What every route needs. */
export interface Emulator {
  readonly state: EmulatorState;
  readonly painter: Painter;
  readonly uploads: UploadFiles;
  readonly clock: Clock;
  readonly holds: Holds;
  /** Scheme, host and port that result links begin with. */
  readonly origin: () => string;
  /** Aborted when the server stops. It ends all waits. */
  readonly stopping: AbortSignal;
}

/** The time and request id of a call that comes in now. */
export function arrive(emulator: Emulator): Arrival {
  return { atMs: emulator.clock.now(), requestId: requestIdOf(randomBytes(16)) };
}

/** The name of a key in the ledger. */
export function hashKey(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 16);
}

export interface Held {
  readonly callId: number;
  readonly prompt: string | null;
  readonly at: "arrival" | "answer";
}

/** Calls that wait for their release, so that a test can act at a certain moment instead of sleeping. */
export class Holds {
  readonly #held = new Map<number, { readonly held: Held; readonly letGo: () => void }>();

  get list(): Held[] {
    return Array.from(this.#held.values(), ({ held }) => held);
  }

  /** Resolves when the call is released, or at once when `signal` aborts. */
  wait(held: Held, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const letGo = (): void => {
        this.#held.delete(held.callId);
        signal.removeEventListener("abort", letGo);
        resolve();
      };
      this.#held.set(held.callId, { held, letGo });
      signal.addEventListener("abort", letGo, { once: true });
    });
  }

  /** Releases the calls whose prompt contains `prompt`; all calls when it is null. Returns how many. */
  release(prompt: string | null): number {
    const fitting = Array.from(this.#held.values()).filter(
      ({ held }) => prompt === null || held.prompt?.includes(prompt),
    );
    for (const { letGo } of fitting) letGo();
    return fitting.length;
  }
}
