/** What may be fetched of a link that upstream gave, and when it is past. Pure. */
import { isLoopback } from "../env.ts";

/** Upstream promises its results for 24 h, whatever longer end a link may carry. */
export const LINK_LIFE_MS = 24 * 3_600_000;

/**
 * Whether a link may be fetched: https; or plain http between this machine and itself, where upstream is the emulator.
 * Asked of every redirect's target too.
 */
export function mayFetch(link: string, upstreamBaseUrl: string): boolean {
  const url = URL.parse(link);
  if (url === null || url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  const upstream = URL.parse(upstreamBaseUrl);
  return url.protocol === "http:" && isLoopback(url.hostname) && upstream !== null && isLocalHttp(upstream);
}

function isLocalHttp(url: URL): boolean {
  return url.protocol === "http:" && isLoopback(url.hostname);
}

/** Whether the link's own signature has ended: `Expires` in its query, epoch seconds. */
export function signatureEnded(link: string, nowMs: number): boolean {
  const expires = URL.parse(link)?.searchParams.get("Expires") ?? null;
  return expires !== null && /^\d{1,12}$/.test(expires) && nowMs >= Number(expires) * 1000;
}

/** A link's host, for people: its query holds a signature that opens the image to anyone. */
export function hostOf(link: string): string {
  return URL.parse(link)?.host ?? "an address that cannot be read";
}
