/**
 * A dead network gives no sign: a socket over it seems open until a ping gets no answer, half a minute later. So every followed
 * connection is opened again when there is a sign that the network was lost or is back.
 */

let current = new AbortController();

/** Aborted at the next sign: the connection that was opened with it must then be opened again and resumed. */
export function untilLinkCheck(): AbortSignal {
  return current.signal;
}

/** Makes every followed connection open again. */
function checkLinks(): void {
  const last = current;
  current = new AbortController();
  last.abort(new DOMException("the network may have changed", "AbortError"));
}

/** As often as a silent socket is pinged. So calls that fail for reasons of their own cause few reconnections. */
const FAILED_CALL_PAUSE_MS = 30_000;
let checkedAtMs = Number.NEGATIVE_INFINITY;

/** Opens the followed connections again, after a call without an answer while the feed seems live; at most every 30 s. */
export function doubtLinks(): void {
  const nowMs = performance.now();
  if (nowMs - checkedAtMs < FAILED_CALL_PAUSE_MS) return;
  checkedAtMs = nowMs;
  checkLinks();
}

addEventListener("offline", checkLinks);
addEventListener("online", checkLinks);

/** Waits `delayMs`, or until a signal is aborted. Never rejects. */
export function pauseUntil(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, delayMs);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}
