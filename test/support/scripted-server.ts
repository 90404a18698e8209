import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

/** A request as a script gets it; `body` is already read. */
export interface ScriptedRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** `cut` closes the connection with no answer, `hang` never answers; else status, headers and a JSON or text body. */
export type ScriptedAnswer =
  | "cut"
  | "hang"
  | { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: unknown }
  | { readonly stream: (response: ServerResponse) => void };

export interface Script {
  readonly answer: (request: ScriptedRequest, number: number) => ScriptedAnswer | Promise<ScriptedAnswer>;
  /** Whether an upgrade is accepted, else it is refused with 400. Left out: all are accepted. `number` counts them from 1. */
  readonly takesUpgrade?: (number: number) => boolean;
  /** Left out: every upgrade is refused. */
  readonly socket?: (socket: WebSocket, request: ScriptedRequest, number: number) => void;
}

/** A server on this machine that answers exactly as a script says, to test a client; `close` ends it at once. */
export async function startScriptedServer(script: Script) {
  const requests: ScriptedRequest[] = [];
  const upgrades: ScriptedRequest[] = [];
  const sockets = new WebSocketServer({ noServer: true });
  const server = createServer((request, response) => void serve(request, response));

  async function serve(request: IncomingMessage, response: ServerResponse) {
    const scripted = await read(request);
    requests.push(scripted);
    const answer = await script.answer(scripted, requests.length);
    if (answer === "hang") return;
    if (answer === "cut") {
      request.socket.destroy();
      return;
    }
    if ("stream" in answer) {
      answer.stream(response);
      return;
    }
    const { status = 200, headers = {}, body } = answer;
    const text = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
  }

  server.on("upgrade", (request, stream, head) => {
    const scripted = { ...headOf(request), body: Buffer.alloc(0) };
    upgrades.push(scripted);
    const number = upgrades.length;
    const { socket: play, takesUpgrade = () => true } = script;
    if (play === undefined || !takesUpgrade(number)) {
      stream.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => play(socket, scripted, number));
  });

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A TCP server's address is never a string or null once it listens.
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    requests,
    upgrades,
    openSockets: () => sockets.clients.size,
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function headOf(request: IncomingMessage) {
  const { method = "GET", url = "/", headers } = request;
  return { method, url: new URL(url, "http://scripted"), headers };
}

async function read(request: IncomingMessage): Promise<ScriptedRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return { ...headOf(request), body: Buffer.concat(chunks) };
}
