import type { JobRefusal, Viewer } from "./contract.ts";

/**
 * How http asks an object for a stream: the client's request goes to `stub.fetch` with this header in place of all that
 * http has already judged. An object trusts it, so http drops every header of this prefix that a client sent.
 */
const PREFIX = "x-darkroom-";
const WATCH_HEADER = `${PREFIX}watch`;
const REFUSAL_HEADER = `${PREFIX}refusal`;

/** A watcher that was let in. For a client's live feed `viewer` is that client. */
export interface WatchRequest {
  readonly mode: "ws" | "sse";
  readonly viewer: Viewer;
  /** Scheme and host that links in frames start with. */
  readonly origin: string;
  /** The last number the watcher has seen; null to begin with the state now. */
  readonly after: number | null;
}

/** Why an object lets nobody in; http answers it as a problem. */
export type WatchRefusal = Extract<JobRefusal["code"], "job_not_found" | "job_gone"> | "too_many_watchers";

const REFUSAL_STATUS: Readonly<Record<WatchRefusal, number>> = {
  job_not_found: 404,
  job_gone: 410,
  too_many_watchers: 429,
};

/** The client's headers as an object may see them: credentials and forged internal headers gone, `watch` added. */
export function watchHeaders(client: Headers, watch: WatchRequest): Headers {
  const headers = new Headers();
  for (const [name, value] of client) {
    if (name.startsWith(PREFIX) || name === "authorization" || name === "cookie") continue;
    headers.set(name, value);
  }
  headers.set(WATCH_HEADER, encodeURIComponent(JSON.stringify(watch)));
  return headers;
}

/** What http let in; null when the request did not come through `watchHeaders`. */
export function readWatch(headers: Headers): WatchRequest | null {
  const text = headers.get(WATCH_HEADER);
  // Written by `watchHeaders` alone, in the same deployment or the one before it.
  return text === null ? null : (JSON.parse(decodeURIComponent(text)) as WatchRequest);
}

/** An object's way to say no before the upgrade or the stream. */
export function refuseWatch(code: WatchRefusal): Response {
  return new Response(null, { status: REFUSAL_STATUS[code], headers: { [REFUSAL_HEADER]: code } });
}

/** The refusal in an object's answer; null when it let the watcher in. */
export function readRefusal(answer: Response): WatchRefusal | null {
  const code = answer.headers.get(REFUSAL_HEADER);
  // Its own keys are all the refusals there are.
  return code !== null && Object.hasOwn(REFUSAL_STATUS, code) ? (code as WatchRefusal) : null;
}
