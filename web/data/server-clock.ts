import { useSyncExternalStore } from "react";

/** The server's clock minus this device's, in ms. Countdowns use the server's clock, also when the device's is wrong. */
let offsetMs = 0;

/** Takes the server's time from an answer that was requested at `askedAtMs` and arrived at `cameAtMs` (device's clock). */
export function learnServerTime(serverTime: string, askedAtMs: number, cameAtMs: number): void {
  const serverMs = Date.parse(serverTime);
  if (Number.isNaN(serverMs)) return;
  offsetMs = serverMs - (askedAtMs + cameAtMs) / 2;
  tick();
}

/** The server's time now, epoch ms. */
export function serverNowMs(): number {
  return Date.now() + offsetMs;
}

/** How often the page's countdowns are updated. */
const TICK_MS = 1000;

let tickMs = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  tickMs = serverNowMs();
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (listeners.size === 1) {
    timer = setInterval(tick, TICK_MS);
    tickMs = serverNowMs();
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) clearInterval(timer);
  };
}

/** The server's time that views show: of the last second while one of them counts, else of the last answer with a time. */
export function lastTickMs(): number {
  return tickMs;
}

/** The server's time now, epoch ms, once a second; one timer for all views. */
export function useServerNow(): number {
  return useSyncExternalStore(subscribe, lastTickMs);
}

/** The same while `isCounting`; otherwise 0, so that the view is not drawn again. */
export function useServerNowWhile(isCounting: boolean): number {
  return useSyncExternalStore(subscribe, () => (isCounting ? tickMs : 0));
}

const MINUTE_MS = 60_000;

/** The server's time to the minute, for words like "3 min ago", which show no seconds. */
export function useServerMinute(): number {
  return useSyncExternalStore(subscribe, () => Math.floor(tickMs / MINUTE_MS) * MINUTE_MS);
}
