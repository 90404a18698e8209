import { useEffect } from "react";
import type { Limits } from "../../schemas/limits.ts";
import { isShutOut } from "./access.ts";
import { darkroom } from "./darkroom.ts";
import { createStore, useStore } from "./store.ts";

/** Models and lanes as last told; null before the first answer. */
export const limits = createStore<Limits | null>(null);

/** While someone looks: as often as a watched place in line moves. */
const REFRESH_MS = 5_000;

let watchers = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

async function refresh(): Promise<void> {
  clearTimeout(timer);
  if (document.visibilityState === "visible") {
    try {
      limits.set(await darkroom.limits());
    } catch (error) {
      if (await isShutOut(error)) return;
      // The last answer stays: the header's lamp tells that the server is away.
    }
  }
  clearTimeout(timer);
  if (watchers > 0) timer = setTimeout(refresh, REFRESH_MS);
}

/** The limits, kept fresh while any view uses them and the tab is seen. */
export function useLimits(): Limits | null {
  useEffect(() => {
    watchers += 1;
    if (watchers === 1) void refresh();
    return () => {
      watchers -= 1;
      if (watchers === 0) clearTimeout(timer);
    };
  }, []);
  return useStore(limits);
}
