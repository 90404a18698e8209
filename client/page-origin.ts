/** Finds out why a page's call to another origin has no answer. To a script, CORS looks the same as a server that is down. */
import { paths } from "../schemas/paths.ts";
import type { Settings } from "./client-options.ts";

const PROBE_MS = 5_000;

/** Clients whose server let the page read an answer: it allows the page's origin. */
const readable = new WeakSet<Settings>();

/** The check that runs now for a client. Calls that fail at the same time share it. */
const running = new WeakMap<Settings, Promise<boolean>>();

/** The origin of the page that makes a call to another origin; null outside a page, and on the server's own origin. */
function otherPageOrigin(url: string): string | null {
  const { location } = globalThis as { readonly location?: { readonly origin?: string } };
  const origin = location?.origin;
  return origin === undefined || new URL(url).origin === origin ? null : origin;
}

/** Records that the page could read an answer of the server. Later failures are then not taken for CORS. */
export function noteReadable(settings: Settings): void {
  readable.add(settings);
}

/** What a person can check when a call from a page to another origin has no answer. Empty outside such a page. */
export function browserHint(settings: Settings, url: string): string {
  const origin = otherPageOrigin(url);
  if (origin === null || readable.has(settings)) return "";
  if (origin.startsWith("https:") && url.startsWith("http:")) {
    return "; browsers let no page on https call an http address: use https in baseUrl";
  }
  return `; if the server is up, check CORS: its ALLOWED_ORIGINS must list ${origin}`;
}

/**
 * The page's origin when the server answers but the browser withholds the answer (CORS). A script cannot see whether the
 * server or a proxy's error page answered. Null outside a page, on the server's own origin, when the server does not answer,
 * and when the page may read its health: then the call failed for another reason. Calls health twice, 5 s each at most, until
 * the page has read an answer; not at all after that.
 */
export async function refusedOrigin(settings: Settings, url: string): Promise<string | null> {
  const origin = otherPageOrigin(url);
  if (origin === null || readable.has(settings)) return null;
  let check = running.get(settings);
  if (check === undefined) {
    check = isWithheld(settings).finally(() => running.delete(settings));
    running.set(settings, check);
  }
  return (await check) ? origin : null;
}

/** The call without a readable answer comes first: if the server starts in between, the second call reads it. */
async function isWithheld(settings: Settings): Promise<boolean> {
  const hidden = await healthAnswer(settings, "no-cors");
  // The types of Workers lack this value of `type`.
  if ((hidden?.type as string | undefined) !== "opaque") return false;
  if ((await healthAnswer(settings, "cors")) === null) return true;
  noteReadable(settings);
  return false;
}

/** The head of health's answer; null without one. `no-cors` hides the answer from this script, but not that there is one. */
async function healthAnswer(settings: Settings, mode: "cors" | "no-cors"): Promise<Response | null> {
  try {
    // The types of Workers lack `mode` and this value of `cache`.
    const init = { mode, cache: "no-store", signal: AbortSignal.timeout(PROBE_MS) } as unknown as RequestInit;
    const answer = await settings.fetch(new URL(paths.health, settings.baseUrl).href, init);
    await answer.body?.cancel();
    return answer;
  } catch {
    return null;
  }
}
