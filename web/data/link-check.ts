/**
 * A dead network says nothing: a socket over it looks well until a ping goes unanswered, half a minute later. Who follows
 * something therefore opens its connection anew when there is a sign that the network went away or came back.
 */

let current = new AbortController();

/** Aborted at the next sign: the connection that was opened under it must be opened anew, from where it was. */
export function untilLinkCheck(): AbortSignal {
  return current.signal;
}

/** Has every followed connection opened anew. */
function checkLinks(): void {
  const last = current;
  current = new AbortController();
  last.abort(new DOMException("the network may have changed", "AbortError"));
}

/** As often as a silent socket is asked whether it lives; calls that fail for a reason of their own then cost little. */
const FAILED_CALL_PAUSE_MS = 30_000;
let checkedAtMs = Number.NEGATIVE_INFINITY;

/** A call got no answer, while what is followed is thought to be live. */
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
