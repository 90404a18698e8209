import { DEFAULT_RECONNECT_POLICY, type ReconnectPolicy } from "./follow.ts";
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from "./retry.ts";
import type { SocketConstructor } from "./text-socket.ts";

/** The part of `fetch` that the client uses. */
export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

/** Options of a client. */
export interface ClientOptions {
  /** Darkroom's address without a path, like `https://darkroom.example.com`. Left out in a browser: the page's own origin. */
  readonly baseUrl?: string | undefined;
  /** Sent as a bearer token. Leave it out on a page that Darkroom serves: `signIn` sets a cookie there. */
  readonly token?: string | undefined;
  /** Used in place of the global `fetch`, like a service binding's. */
  readonly fetch?: Fetch | undefined;
  /** Used in place of the global `WebSocket`; `null` watches by polling. */
  readonly WebSocket?: SocketConstructor | null | undefined;
  /** Times and bounds that differ from the defaults. */
  readonly timing?: Partial<ClientTiming> | undefined;
}

/** All times and bounds of the client. The unit is in the name. */
export interface ClientTiming {
  readonly retry: RetryPolicy;
  readonly reconnect: ReconnectPolicy;
  /** Bound of one try of a call. The time that the server is asked to hold the answer is added. */
  readonly callTimeoutMs: number;
  /** Bound of one try of a submission that carries images, as files or in data URLs. */
  readonly uploadTimeoutMs: number;
  /** Bound of one try of a bulk call. The server acts on its jobs, 100 at most, ten at a time, and some may answer slowly. */
  readonly bulkTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** After this time without a message the client pings the socket. */
  readonly pingAfterMs: number;
  /** After this time without an answer to the ping the client gives up the socket. */
  readonly pongTimeoutMs: number;
  /** After this time without a byte the client gives up a stream. The server's heartbeat is 15 s. */
  readonly streamSilenceMs: number;
  /** How long the server holds one long-poll; it accepts up to 60 s. */
  readonly pollWaitSeconds: number;
  /** Delay between polls that the server does not hold. */
  readonly pollEveryMs: number;
}

const DEFAULT_TIMING: ClientTiming = {
  retry: DEFAULT_RETRY_POLICY,
  reconnect: DEFAULT_RECONNECT_POLICY,
  callTimeoutMs: 30_000,
  uploadTimeoutMs: 180_000,
  bulkTimeoutMs: 180_000,
  connectTimeoutMs: 10_000,
  pingAfterMs: 20_000,
  pongTimeoutMs: 10_000,
  streamSilenceMs: 40_000,
  pollWaitSeconds: 25,
  pollEveryMs: 3_000,
};

/** The options, checked, with defaults filled in. */
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
  // `URL.parse` is missing in Node 20.
  const baseUrl = URL.canParse(base) ? new URL(base) : null;
  if (baseUrl === null || !/^https?:$/.test(baseUrl.protocol)) {
    throw new TypeError(`baseUrl must be an http(s) address, got ${JSON.stringify(base)}`);
  }
  if (baseUrl.pathname !== "/" || baseUrl.search !== "" || baseUrl.hash !== "") {
    const origin = JSON.stringify(baseUrl.origin);
    throw new TypeError(
      `baseUrl must end with the host, like ${origin}: Darkroom is at its root, got ${JSON.stringify(base)}`,
    );
  }
  if (options.token !== undefined && !/^[\x21-\x7e]+$/.test(options.token)) {
    throw new TypeError("token must be printable characters without spaces");
  }
  return {
    baseUrl,
    token: options.token ?? null,
    // Browsers and Workers throw when the global `fetch` is called with another `this`.
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
