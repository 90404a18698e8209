/** Makes answers with a real gateway's headers: complete, chunked, or cut on purpose. */
import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Context } from "hono";
import { wireHeaders } from "../worker/dashscope/wire.ts";
import type { WireRefusal } from "./core/error-table.ts";
import type { Clock, Emulator } from "./emulator.ts";

export type EmulatorEnv = { Bindings: HttpBindings };
export type EmulatorContext = Context<EmulatorEnv>;

/** When a call arrived, and the id for its answer. */
export interface Arrival {
  readonly atMs: number;
  readonly requestId: string;
}

/** The gateway's limit as its header says it, in seconds. */
const GATEWAY_TIMEOUT_SECONDS = "298";

function gatewayHeaders(arrival: Arrival, nowMs: number): Record<string, string> {
  const tookMs = Math.max(1, Math.round(nowMs - arrival.atMs));
  return {
    [wireHeaders.requestId]: arrival.requestId,
    "x-dashscope-call-gateway": "true",
    "x-dashscope-finished": "true",
    [wireHeaders.timeout]: GATEWAY_TIMEOUT_SECONDS,
    "req-arrive-time": String(Math.round(arrival.atMs)),
    "resp-start-time": String(Math.round(nowMs)),
    "req-cost-time": String(tookMs),
    "x-envoy-upstream-service-time": String(Math.max(1, tookMs - 2)),
    server: "istio-envoy",
  };
}

/** Sent in two pieces, as by a gateway that does not know the length beforehand. */
function chunked(text: string): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  const half = Math.ceil(bytes.length / 2);
  return new ReadableStream({
    start(controller) {
      if (half > 0) controller.enqueue(bytes.subarray(0, half));
      if (bytes.length > half) controller.enqueue(bytes.subarray(half));
      controller.close();
    },
  });
}

/** A text answer. With `contentType: null` the header is absent. */
export function textResponse(
  clock: Clock,
  arrival: Arrival,
  status: number,
  text: string,
  contentType: string | null,
  extra: Record<string, string> = {},
): Response {
  const headers = { ...gatewayHeaders(arrival, clock.now()), ...extra };
  if (contentType !== null) headers["content-type"] = contentType;
  // 204 and 304 may not have a body, not even an empty one.
  return new Response(text === "" ? null : chunked(text), { status, headers });
}

/** A JSON answer of any status. */
export function wireResponse(clock: Clock, arrival: Arrival, body: object, status = 200): Response {
  return textResponse(clock, arrival, status, JSON.stringify(body), "application/json");
}

/** A failed call. With `headerless401` a 401 has no Content-Type, as once recorded: clients must parse the body nevertheless. */
export function refusalResponse(
  { clock, state }: Emulator,
  arrival: Arrival,
  refusal: WireRefusal,
  retryAfter?: string,
): Response {
  const body = JSON.stringify({ code: refusal.code, message: refusal.message, request_id: arrival.requestId });
  const contentType = refusal.status === 401 && state.settings.headerless401 ? null : "application/json";
  const extra: Record<string, string> = retryAfter === undefined ? {} : { [wireHeaders.retryAfter]: retryAfter };
  return textResponse(clock, arrival, refusal.status, body, contentType, extra);
}

/** A good answer of `/tasks`. With `taskHeaders` it has fewer headers than other calls, as recorded. */
export function taskResponse(emulator: Emulator, arrival: Arrival, body: object, status: number): Response {
  const { clock, state } = emulator;
  const response = wireResponse(clock, arrival, body, status);
  if (state.settings.taskHeaders === "gateway") return response;
  for (const name of Array.from(response.headers.keys())) {
    if (name === wireHeaders.requestId || name.startsWith("x-dashscope-")) response.headers.delete(name);
  }
  response.headers.set("content-type", "application/json;charset=UTF-8");
  return response;
}

/** A proxy's page, in HTML. */
export function gatewayPage(clock: Clock, arrival: Arrival, status: number, retryAfter?: string): Response {
  const names: Record<number, string> = {
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
  };
  const title = `${status} ${names[status] ?? "Error"}`;
  const page = `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n`;
  return textResponse(
    clock,
    arrival,
    status,
    page,
    "text/html",
    retryAfter === undefined ? {} : { [wireHeaders.retryAfter]: retryAfter },
  );
}

/** A body of that many bytes, made while it is read. */
export function hugeResponse(clock: Clock, arrival: Arrival, bytes: number): Response {
  const piece = new Uint8Array(65_536).fill(0x20);
  let left = bytes;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left <= 0) return controller.close();
      controller.enqueue(piece.subarray(0, Math.min(left, piece.length)));
      left -= piece.length;
    },
  });
  return new Response(body, {
    headers: { ...gatewayHeaders(arrival, clock.now()), "content-type": "application/json" },
  });
}

/** Cuts the connection without an answer. */
export function cut(c: EmulatorContext): Response {
  c.env.incoming.socket.destroy();
  return RESPONSE_ALREADY_SENT;
}

/** Sends the head and a part of the body, then cuts the connection before the promised length. */
export async function cutAmid(
  c: EmulatorContext,
  head: Record<string, string>,
  body: Buffer,
  sentBytes: number,
): Promise<Response> {
  const { outgoing, incoming } = c.env;
  outgoing.writeHead(200, { ...head, "content-length": String(body.length) });
  await new Promise<void>((resolve) => outgoing.write(body.subarray(0, sentBytes), () => resolve()));
  incoming.socket.destroy();
  return RESPONSE_ALREADY_SENT;
}

/** Whether the caller has hung up. */
export function isGone(c: EmulatorContext): boolean {
  return c.env.outgoing.destroyed || c.env.incoming.socket.destroyed;
}
