import { once } from "node:events";
import { connect } from "node:net";
import { WebSocket } from "ws";
import type { Place, PlaceKind } from "./search.ts";

/** No request here takes this long: a longer one hangs. */
const HANG_MS = 60_000;

export interface Asked {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer> | FormData;
  /** Aborts an answer that does not end by itself, and keeps the part received until then. */
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

export type Recorder = ReturnType<typeof recorderOf>;

/** A client that keeps all that it receives, bytes and headers, for the search. It does not keep what it sends. */
export function recorderOf(baseUrl: string) {
  const places: Place[] = [];
  const keep = (kind: PlaceKind, name: string, bytes: Buffer) => void places.push({ kind, name, bytes });

  /** One request; redirects are answers too. `path` may be a whole address of ours. */
  async function ask(path: string, asked: Asked = {}): Promise<Answer> {
    const { method = "GET", token, headers = {}, body, signal } = asked;
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(new URL(path, baseUrl), {
      method,
      headers: { ...authorization, ...headers },
      redirect: "manual",
      signal: signal ?? AbortSignal.timeout(HANG_MS),
      ...(body === undefined ? {} : { body }),
    });
    const head = Array.from(response.headers, ([name, value]) => `${name}: ${value}\r\n`).join("");
    const chunks = [Buffer.from(head)];
    try {
      for await (const chunk of response.body ?? []) chunks.push(Buffer.from(chunk));
    } finally {
      // The received part of a stream that is cut is kept too.
      keep("answer", `${method} ${path.slice(0, 80)} → ${response.status}`, Buffer.concat(chunks));
    }
    return { status: response.status, headers: response.headers, body: Buffer.concat(chunks.slice(1)) };
  }

  /** Opens a socket and keeps its frames until it closes, or until it has `enough`. */
  async function watch(path: string, headers: Readonly<Record<string, string>>, enough = Number.POSITIVE_INFINITY) {
    const url = new URL(path, baseUrl);
    url.protocol = "ws:";
    // The local runtime leaves the connection open after both close frames; `closeTimeout` is newer than ws's types.
    const options = { headers, closeTimeout: 200 };
    const socket = new WebSocket(url, options);
    let frames = 0;
    socket.on("message", (data: Buffer) => {
      keep("frame", `socket ${url.pathname}`, Buffer.from(data));
      frames += 1;
      if (frames >= enough) socket.close();
    });
    socket.on("upgrade", (response) =>
      keep("answer", `upgrade ${path}`, Buffer.from(response.rawHeaders.join("\r\n"))),
    );
    socket.on("unexpected-response", async (_request, response) => {
      const chunks: Buffer[] = [Buffer.from(response.rawHeaders.join("\r\n"))];
      for await (const chunk of response) chunks.push(chunk);
      keep("answer", `refused upgrade ${path} → ${response.statusCode}`, Buffer.concat(chunks));
      socket.terminate();
    });
    // `ws` reports a refusal as an error too; it is kept above.
    socket.on("error", () => undefined);
    const opened = Promise.withResolvers<boolean>();
    const closed = Promise.withResolvers<number>();
    socket.on("open", () => opened.resolve(true));
    socket.on("close", (code: number, reason: Buffer) => {
      keep("frame", `close ${code}`, reason);
      opened.resolve(false);
      closed.resolve(code);
    });
    return { socket, opened: opened.promise, closed: closed.promise };
  }

  /** Sends raw bytes that no client would send, and keeps the answer until the connection ends. */
  async function raw(bytes: string | Buffer): Promise<Buffer> {
    const { port } = new URL(baseUrl);
    const connection = connect(Number(port), "localhost");
    const chunks: Buffer[] = [];
    connection.on("data", (chunk) => chunks.push(chunk));
    connection.on("error", () => undefined);
    connection.setTimeout(HANG_MS, () => connection.destroy());
    connection.end(bytes);
    await once(connection, "close");
    const answer = Buffer.concat(chunks);
    keep("answer", "raw bytes", answer);
    return answer;
  }

  return { baseUrl, places, keep, ask, watch, raw };
}
