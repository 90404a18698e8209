import { Job } from "../../schemas/job.ts";
import { learnServerTime, serverNowMs } from "./server-clock.ts";

/** A job as its share link shows it, or why it cannot be shown. */
export type SharedJob =
  | { readonly kind: "loading" }
  | { readonly kind: "here"; readonly job: Job }
  | { readonly kind: "none"; readonly title: string; readonly text: string };

export const OVER = { kind: "none", title: "This link is over", text: "Ask whoever sent it for a new one." } as const;
export const GONE = { kind: "none", title: "This job is gone", text: "It was deleted, or its time was up." } as const;
export const UNREACHABLE = {
  kind: "none",
  title: "The server cannot be reached",
  text: "It is asked again every few seconds.",
} as const;

/**
 * Reads a job by the signed link `address`, and the server's time from the same answer. A session of this browser is not used. Never
 * rejects.
 */
export async function readShared(address: string, signal: AbortSignal): Promise<SharedJob> {
  try {
    const askedAtMs = Date.now();
    const headers = { Accept: "application/json" };
    const response = await fetch(address, { credentials: "omit", headers, signal });
    learnServerDate(response.headers.get("date"), askedAtMs);
    if (response.status === 404 || response.status === 410) return GONE;
    if (response.status === 401 || response.status === 403) return OVER;
    if (!response.ok) return UNREACHABLE;
    return { kind: "here", job: Job.parse(await response.json()) };
  } catch {
    return UNREACHABLE;
  }
}

const SECOND_MS = 1000;

/**
 * Takes the server's time from the Date header of an answer that was requested at `askedAtMs` (device's clock) and arrived now. The
 * header has whole seconds: a known time within that second is kept, so that countdowns do not jump.
 */
function learnServerDate(date: string | null, askedAtMs: number): void {
  const nowMs = Date.now();
  const secondMs = Date.parse(date ?? "");
  const aheadMs = serverNowMs() - (nowMs - askedAtMs) / 2 - secondMs;
  if (Number.isNaN(secondMs) || (aheadMs >= 0 && aheadMs < SECOND_MS)) return;
  learnServerTime(new Date(secondMs + SECOND_MS / 2).toISOString(), askedAtMs, nowMs);
}
