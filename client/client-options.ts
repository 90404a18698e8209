import { DEFAULT_RECONNECT_POLICY, type ReconnectPolicy } from "./reconnect-policy.ts";
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from "./retry-policy.ts";
import type { SocketConstructor } from "./text-socket.ts";

/** The part of `fetch` that the client uses. */
export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

/** What a client is made of; every field has a default somewhere. */
export interface ClientOptions {
  /** Where Darkroom is, like `https://darkroom.example.com`; in a browser the page's own origin when left out. */
  readonly baseUrl?: string | undefined;
  /** Sent as a bearer token. Leave it out in a browser: sign in, and the cookie goes along. */
  readonly token?: string | undefined;
  readonly fetch?: Fetch | undefined;
  /** The global one when left out; `null` watches without sockets. */
  readonly WebSocket?: SocketConstructor | null | undefined;
  /** Times and bounds, for unusual networks and for tests. */
  readonly timing?: Partial<ClientTiming> | undefined;
}

/** Every time and bound of the client, in the unit of its name. */
export interface ClientTiming {
  readonly retry: RetryPolicy;
  readonly reconnect: ReconnectPolicy;
  /** One try of one call; what is waited on purpose comes on top. */
  readonly callTimeoutMs: number;
  /** One try of a submission that carries images: as files, or in data URLs. */
  readonly uploadTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** So long without a message, and the socket is asked whether it lives. */
  readonly pingAfterMs: number;
  /** So long without an answer to that, and it is given up. */
  readonly pongTimeoutMs: number;
  /** So long without a byte, and a stream is given up: twice the server's heartbeat of 15 s, and some. */
  readonly streamSilenceMs: number;
  /** How long one long-poll is held; the server takes up to 60 s. */
  readonly pollWaitSeconds: number;
  /** Between polls when the server does not hold them. */
  readonly pollEveryMs: number;
}

const DEFAULT_TIMING: ClientTiming = {
  retry: DEFAULT_RETRY_POLICY,
  reconnect: DEFAULT_RECONNECT_POLICY,
  callTimeoutMs: 30_000,
  uploadTimeoutMs: 180_000,
  connectTimeoutMs: 10_000,
  pingAfterMs: 20_000,
  pongTimeoutMs: 10_000,
  streamSilenceMs: 40_000,
  pollWaitSeconds: 25,
  pollEveryMs: 3_000,
};

/** The options, checked and completed. */
export interface Settings {
  readonly baseUrl: URL;
  readonly token: string | null;
  readonly fetch: Fetch;
  readonly WebSocket: SocketConstructor | null;
  readonly timing: ClientTiming;
}

/** Throws a `TypeError` that names the option which is wrong. */
export function settingsOf(options: ClientOptions): Settings {
  const base = options.baseUrl ?? pageOrigin();
  if (base === null) throw new TypeError("baseUrl is needed outside a page, like https://darkroom.example.com");
  const baseUrl = URL.parse(base);
  if (baseUrl === null || !/^https?:$/.test(baseUrl.protocol)) {
    throw new TypeError(`baseUrl must be an http(s) address, got ${JSON.stringify(base)}`);
  }
  if (options.token !== undefined && !/^[\x21-\x7e]+$/.test(options.token)) {
    throw new TypeError("token must be printable characters without spaces");
  }
  return {
    baseUrl,
    token: options.token ?? null,
    // A bare reference to the global loses its `this` in browsers and Workers.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    WebSocket: options.WebSocket === undefined ? globalSocket() : options.WebSocket,
    timing: { ...DEFAULT_TIMING, ...options.timing },
  };
}

function pageOrigin(): string | null {
  const { location } = globalThis as { location?: { origin?: string } };
  return location?.origin ?? null;
}

function globalSocket(): SocketConstructor | null {
  const { WebSocket } = globalThis as { WebSocket?: SocketConstructor };
  return WebSocket ?? null;
}
