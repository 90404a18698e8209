import { Agent, type IncomingMessage, request } from "node:http";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Answer } from "./attack.ts";

/** The contract holds an answer for 60 s at most (`Prefer: wait=60`); a request that takes longer than this hangs. */
export const HTTP_BOUND_MS = 90_000;

export interface SentRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | null;
}

/** There was no answer: the connection broke, or the bound passed. */
export interface NoAnswer {
  readonly failure: string;
}

/** Sends hostile HTTP unchanged; connections are kept. */
export class HttpSender {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(port: number) {
    this.#port = port;
  }

  /** Sends once more on a new connection when the server had closed the kept one meanwhile, which is no fault. */
  async send(sent: SentRequest): Promise<Answer | NoAnswer> {
    const first = await this.#once(sent);
    return "failure" in first && first.onKeptConnection ? await this.#once(sent) : first;
  }

  close(): void {
    this.#agent.destroy();
  }

  #once({
    method,
    path,
    headers,
    body,
  }: SentRequest): Promise<Answer | (NoAnswer & { readonly onKeptConnection: boolean })> {
    return new Promise((resolve) => {
      // A flat list, because a name may be in it twice.
      const flat = headers.flat();
      if (!headers.some(([name]) => name.toLowerCase() === "host")) flat.push("host", `localhost:${this.#port}`);
      if (body !== null || !["GET", "HEAD"].includes(method)) flat.push("content-length", String(body?.length ?? 0));
      const asked = request({ host: "127.0.0.1", port: this.#port, agent: this.#agent, method, path, headers: flat });
      const fail = (failure: string) => {
        clearTimeout(timer);
        resolve({ failure, onKeptConnection: asked.reusedSocket });
      };
      const timer = setTimeout(() => {
        fail(`no answer within ${HTTP_BOUND_MS} ms`);
        asked.destroy();
      }, HTTP_BOUND_MS);
      asked.on("error", (error) => fail(String(error)));
      asked.on("upgrade", (response, socket) => {
        clearTimeout(timer);
        socket.destroy();
        resolve(answerOf(response, Buffer.alloc(0)));
      });
      asked.on("response", (response) => {
        const parts: Buffer[] = [];
        const finish = () => {
          clearTimeout(timer);
          const body = Buffer.concat(parts);
          resolve(answerOf(response, isStream(response) ? body : unpacked(response, body)));
        };
        response.on("data", (part: Buffer) => {
          parts.push(part);
          // A stream does not end by itself.
          if (!isStream(response)) return;
          finish();
          asked.destroy();
        });
        response.on("end", finish);
        response.on("error", (error) => fail(`amid the answer ${response.statusCode}: ${String(error)}`));
      });
      asked.end(body ?? undefined);
    });
  }
}

function isStream(response: IncomingMessage): boolean {
  return response.headers["content-type"]?.startsWith("text/event-stream") === true;
}

/** The body without its Content-Encoding, which the layers in front of our code add. */
function unpacked({ headers }: IncomingMessage, body: Buffer): Buffer {
  if (body.length === 0) return body;
  switch (headers["content-encoding"]) {
    case "gzip":
      return gunzipSync(body);
    case "br":
      return brotliDecompressSync(body);
    case "zstd":
      return zstdDecompressSync(body);
    default:
      return body;
  }
}

function answerOf({ statusCode = 0, headers }: IncomingMessage, body: Buffer): Answer {
  const texts = Object.entries(headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(", ") : (value ?? ""),
  ]);
  return { status: statusCode, headers: Object.fromEntries(texts), body };
}
