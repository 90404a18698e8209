import { hostOf, mayFetch } from "./result-link.ts";

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export type FetchedLink =
  | { readonly ok: true; readonly response: Response }
  /**
   * `gone`: it will never deliver. `missing`: nor will it, unless the host has not heard of the image yet. `refused`: it will
   * not once its signature has ended. `failed`: perhaps next time.
   */
  | { readonly ok: false; readonly kind: "gone" | "missing" | "refused" | "failed"; readonly reason: string };

/** Object stores redirect at most to a nearer host. */
const MAX_REDIRECTS = 3;

/** Opens a result link: only the hosts and schemes of `mayFetch`, redirects followed by hand. Throws network errors. */
export async function fetchLink(
  link: string,
  upstreamBaseUrl: string,
  fetch: Fetch,
  signal: AbortSignal,
): Promise<FetchedLink> {
  let at = link;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    if (!mayFetch(at, upstreamBaseUrl)) {
      return { ok: false, kind: "gone", reason: `the link leads to ${hostOf(at)} by other means than https` };
    }
    // Uncompressed, for the length must be known before the first byte.
    const response = await fetch(at, { headers: { "accept-encoding": "identity" }, redirect: "manual", signal });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return judged(response, at);
    response.body?.cancel().catch(() => undefined);
    at = URL.parse(location, at)?.href ?? location;
  }
  return { ok: false, kind: "failed", reason: `the link was redirected more than ${MAX_REDIRECTS} times` };
}

function judged(response: Response, at: string): FetchedLink {
  const { status } = response;
  if (status === 200) return { ok: true, response };
  response.body?.cancel().catch(() => undefined);
  const reason = `${hostOf(at)} answered ${status} instead of the image`;
  return { ok: false, kind: KIND_OF[status] ?? "failed", reason };
}

const KIND_OF: Readonly<Record<number, "gone" | "missing" | "refused">> = {
  400: "refused",
  401: "refused",
  403: "refused",
  404: "missing",
  410: "gone",
};
