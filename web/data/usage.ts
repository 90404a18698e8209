import { useCallback, useEffect, useRef, useState } from "react";
import { paths } from "../../schemas/paths.ts";
import type { Usage } from "../../schemas/usage.ts";
import { isShutOut } from "./access.ts";
import { darkroom } from "./darkroom.ts";
import { jobList } from "./live-jobs.ts";
import { notify } from "./notices.ts";
import { saveBlob } from "./save-file.ts";
import { serverNowMs } from "./server-clock.ts";

/** A month of spend: `2026-11`, UTC. `client`: whose spend the operator asks for; null for all that the person may see. */
export interface SpendQuery {
  readonly month: string;
  readonly client: string | null;
}

/** The current month, by the server's clock. */
export function thisMonth(): string {
  return new Date(serverNowMs()).toISOString().slice(0, 7);
}

function periodOf({ month, client }: SpendQuery) {
  const [year = 0, number = 1] = month.split("-").map(Number);
  const last = new Date(Date.UTC(year, number, 0)).toISOString().slice(0, 10);
  return { from: `${month}-01`, to: last, client: client ?? undefined };
}

const keyOf = ({ month, client }: SpendQuery) => `${month} ${client ?? ""}`;

/** The wait after a change of the jobs before the spend is read again: changes come in bursts. */
const SETTLE_MS = 2_000;

/** The wait after a failure before the spend is read again. */
const AGAIN_MS = 5_000;

/** A month's spend by day, kept up to date while jobs change. The last answer stays until the next one arrives. */
export function useUsage(query: SpendQuery): {
  readonly usage: Usage | null;
  readonly failure: unknown;
  readonly again: () => Promise<void>;
} {
  const { month, client } = query;
  const key = keyOf(query);
  /** The answer for `key`; an answer for another month or client is not shown. */
  const [state, setState] = useState<{ readonly key: string; readonly usage: Usage | null; readonly failure: unknown }>(
    { key, usage: null, failure: null },
  );
  const wantedKey = useRef(key);
  const load = useCallback(
    async (signal?: AbortSignal) => {
      const asked = keyOf({ month, client });
      try {
        const usage = await darkroom.usage({ ...periodOf({ month, client }), signal });
        if (wantedKey.current === asked) setState({ key: asked, usage, failure: null });
      } catch (failure) {
        if (signal?.aborted || (await isShutOut(failure)) || wantedKey.current !== asked) return;
        setState((now) => ({ key: asked, usage: now.key === asked ? now.usage : null, failure }));
      }
    },
    [month, client],
  );
  useEffect(() => {
    wantedKey.current = key;
  }, [key]);
  useEffect(() => {
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = () => {
      timer = undefined;
      void load(leaving.signal);
    };
    ask();
    const unsubscribe = jobList.subscribe(() => {
      timer ??= setTimeout(ask, SETTLE_MS);
    });
    return () => {
      leaving.abort(new DOMException("the view was left", "AbortError"));
      clearTimeout(timer);
      unsubscribe();
    };
  }, [load]);
  useEffect(() => {
    if (state.failure === null || state.key !== key) return;
    const timer = setTimeout(() => void load(), AGAIN_MS);
    return () => clearTimeout(timer);
  }, [state, key, load]);
  const { usage, failure } = state.key === key ? state : { usage: null, failure: null };
  return { usage, failure, again: load };
}

/** Saves a month's spend by day as CSV, with the rows that the API gives. Never rejects: the person is notified of a failure. */
export async function saveUsage(query: SpendQuery): Promise<void> {
  const { from, to, client } = periodOf(query);
  const asked = new URLSearchParams({ from, to, ...(client === undefined ? {} : { client }) });
  try {
    const response = await fetch(`${paths.usage}?${asked}`, { headers: { Accept: "text/csv" } });
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    saveBlob(await response.blob(), `darkroom-spend-${query.month}.csv`);
  } catch (error) {
    notify("failed", `The CSV could not be saved. ${error instanceof Error ? error.message : "Try again."}`);
  }
}
