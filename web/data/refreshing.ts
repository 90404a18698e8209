/** The part of the document that says whether the page is visible. */
type Sight = Pick<Document, "visibilityState"> & Pick<EventTarget, "addEventListener" | "removeEventListener">;

export interface Refreshing {
  /** Call it when the answer may have changed. */
  change(): void;
  stop(): void;
}

/**
 * Calls `ask` at once, and again `settleMs` after changes, which come in bursts: one call at a time, and none while the page is
 * hidden. A change during a call, or while the page is hidden, causes a call afterwards. `ask` must not reject.
 */
export function refreshing(ask: () => Promise<void>, settleMs: number, sight: Sight = document): Refreshing {
  let isDue = true;
  let isAsking = false;
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const isFree = () => !isAsking && !isOver && sight.visibilityState !== "hidden";
  const plan = () => {
    if (isDue && isFree()) timer ??= setTimeout(go, settleMs);
  };
  const go = async () => {
    clearTimeout(timer);
    timer = undefined;
    if (!isDue || !isFree()) return;
    isDue = false;
    isAsking = true;
    await ask();
    isAsking = false;
    plan();
  };
  sight.addEventListener("visibilitychange", go);
  void go();
  return {
    change() {
      isDue = true;
      plan();
    },
    stop() {
      isOver = true;
      clearTimeout(timer);
      sight.removeEventListener("visibilitychange", go);
    },
  };
}
