/** Opens the links under which upstream delivers images: addresses, and data URLs. */
import { isLoopback } from "../env.ts";

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export type OpenedLink =
  | { readonly ok: true; readonly response: Response }
  /** `final`: no repetition can open it. Otherwise it may open until it ends. */
  | { readonly ok: false; readonly final: boolean; readonly reason: string };

/** Object stores redirect at most to a nearer host. */
const MAX_REDIRECTS = 3;

/** Whether a link holds the image itself. Schemes have no case. */
export function isDataUrl(link: string): boolean {
  return /^data:/i.test(link);
}

/** Opens a link. Redirects are followed here, so that each target's scheme is checked. Throws network errors. */
export async function openLink(
  link: string,
  upstreamBaseUrl: string,
  fetch: Fetch,
  signal: AbortSignal,
): Promise<OpenedLink> {
  if (isDataUrl(link)) return openDataUrl(link);
  let at = fetchAddress(link, upstreamBaseUrl);
  if (at === null) {
    return { ok: false, final: true, reason: `the link of ${hostOf(link)} is no http address and no data URL` };
  }
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await fetch(at, {
      // Uncompressed, because the length must be known before the first byte.
      headers: { "accept-encoding": "identity" },
      redirect: "manual",
      // A Worker's fetch reads through the platform's cache, which keeps a 404 for minutes.
      cache: "no-store",
      signal,
    });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return judged(response, at);
    response.body?.cancel().catch(() => undefined);
    const target: string = URL.parse(location, at)?.href ?? location;
    at = fetchAddress(target, upstreamBaseUrl);
    if (at === null) {
      return {
        ok: false,
        final: false,
        reason: `the link was redirected to ${hostOf(target)}, which is no http address`,
      };
    }
  }
  return { ok: false, final: false, reason: `the link was redirected more than ${MAX_REDIRECTS} times` };
}

/**
 * The address to fetch for a link: https even where the link says http, because the signature does not cover the scheme.
 * Plain http only when both the link and upstream are on this machine (the emulator). Null for any other scheme.
 */
export function fetchAddress(link: string, upstreamBaseUrl: string): string | null {
  const url = URL.parse(link);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return null;
  // DashScope's links need no userinfo, and fetch refuses an address with it.
  url.username = "";
  url.password = "";
  if (url.protocol === "http:" && !(isLocalHttp(url) && isLocalHttp(URL.parse(upstreamBaseUrl)))) {
    url.protocol = "https:";
    if (url.port === "80") url.port = "";
  }
  return url.href;
}

function isLocalHttp(url: URL | null): boolean {
  return url?.protocol === "http:" && isLoopback(url.hostname);
}

/** A link's host, to be shown to people. The link's query holds a signature that opens the image to anyone. */
export function hostOf(link: string): string {
  return URL.parse(link)?.host || "an address that cannot be read";
}

function judged(response: Response, at: string): OpenedLink {
  const { status, headers } = response;
  const isWhole = status === 200 || status === 203 || (status === 206 && isWholeRange(headers.get("content-range")));
  if (isWhole) return { ok: true, response };
  response.body?.cancel().catch(() => undefined);
  const what = status === 206 ? "a part of the image" : `${status} instead of the image`;
  return { ok: false, final: status === 410, reason: `${hostOf(at)} answered ${what}` };
}

/** Whether a 206 has the whole file: `bytes 0-99/100`. When no range can be read, the image's own structure decides. */
function isWholeRange(contentRange: string | null): boolean {
  const [, first, last, size] = /^\s*bytes\s+(\d+)-(\d+)\/(\d+)\s*$/i.exec(contentRange ?? "") ?? [];
  return first === undefined || (Number(first) === 0 && Number(last) + 1 === Number(size));
}

function openDataUrl(link: string): OpenedLink {
  const comma = link.indexOf(",");
  if (comma < 0) return { ok: false, final: true, reason: "the data URL that upstream delivered has no data" };
  const data = link
    .slice(comma + 1)
    .replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  const isBase64 = /;\s*base64\s*$/i.test(link.slice(0, comma));
  const bytes = Uint8Array.from(Buffer.from(data, isBase64 ? "base64" : "latin1"));
  return { ok: true, response: new Response(bytes, { headers: { "content-length": String(bytes.byteLength) } }) };
}
