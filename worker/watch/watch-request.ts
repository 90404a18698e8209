/**
 * How http asks an object for a stream: the client's request goes to `stub.fetch` with one header that holds what http has
 * already checked. An object trusts that header, so http drops every header of this prefix that a client sent.
 */
const PREFIX = "x-darkroom-";
const WATCH_HEADER = `${PREFIX}watch`;
const REFUSAL_HEADER = `${PREFIX}refusal`;

/** What the links in a watcher's frames depend on. */
export interface Audience {
  /** Scheme and host that links start with. */
  readonly origin: string;
  /** For a watcher that came by a signed link: when that link ends. No link in a frame lives longer; null: no such bound. */
  readonly linkEndsAtMs: number | null;
}

/** A watcher that http has let in. */
export interface WatchRequest extends Audience {
  readonly mode: "ws" | "sse";
  /** The client whose jobs may be watched; null: any client's (the operator, or a signed link to one job). */
  readonly viewer: string | null;
  /** The last number that the watcher has seen; null: begin with the state now. */
  readonly after: number | null;
}

const REFUSAL_STATUS = { job_not_found: 404, job_gone: 410, too_many_watchers: 429 } as const;

/** Why an object refuses a watcher; http answers it as a problem. */
export type WatchRefusal = keyof typeof REFUSAL_STATUS;

/** The client's headers as an object may see them: without credentials and forged internal headers, with `watch`. */
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
  if (text === null) return null;
  // Only `watchHeaders` writes it, in this deployment or in the previous one, which did not bound links.
  const watch = JSON.parse(decodeURIComponent(text)) as Omit<WatchRequest, "linkEndsAtMs"> & Partial<Audience>;
  return { ...watch, linkEndsAtMs: watch.linkEndsAtMs ?? null };
}

/** An object's refusal, before the upgrade or the stream. */
export function refuseWatch(code: WatchRefusal): Response {
  return new Response(null, { status: REFUSAL_STATUS[code], headers: { [REFUSAL_HEADER]: code } });
}

/** The refusal in an object's answer; null when the object let the watcher in. */
export function readRefusal(answer: Response): WatchRefusal | null {
  const code = answer.headers.get(REFUSAL_HEADER);
  // The keys of the table are all the refusals there are.
  return code !== null && Object.hasOwn(REFUSAL_STATUS, code) ? (code as WatchRefusal) : null;
}
