import { readRefusal, type WatchRefusal, watchHeaders } from "../watch/watch-request.ts";
import { isUpgrade } from "./asker.ts";
import { type HttpContext, originOf } from "./http-env.ts";
import { jobProblem } from "./job-problem.ts";
import type { LinkViewer } from "./link-access.ts";
import { PRIVATE_VARY } from "./negotiated.ts";
import { ProblemError } from "./problem.ts";
import { wholeNumberOf } from "./query.ts";

/** A stub as far as streams go. */
interface Watchable {
  fetch(request: Request): Promise<Response>;
}

/** The last number that the watcher has seen: `?after=`, or what EventSource sends when it reconnects. */
export function afterOf(c: HttpContext): number | null {
  const after = wholeNumberOf(c, "after", 0, Number.MAX_SAFE_INTEGER);
  if (after !== null) return after;
  const last = c.req.header("last-event-id");
  return last !== undefined && /^\d{1,15}$/.test(last) ? Number(last) : null;
}

function refusalProblem(code: WatchRefusal): ProblemError {
  if (code === "too_many_watchers") {
    return new ProblemError("too_many_watchers", "As many watch already as one object serves; poll, or try later.", {
      headers: { "Retry-After": "30" },
    });
  }
  return jobProblem({ ok: false, code });
}

/** Hands the request to the object that streams: the upgrade, or SSE. The object may still say no. */
export async function watchAnswer(c: HttpContext, stub: Watchable, who: LinkViewer): Promise<Response> {
  const mode = isUpgrade(c) ? "ws" : "sse";
  const version = c.req.header("sec-websocket-version");
  if (mode === "ws" && version !== undefined && version !== "13") {
    throw new ProblemError("upgrade_required", "WebSocket version 13 is spoken here.", {
      headers: { Upgrade: "websocket", "Sec-WebSocket-Version": "13" },
    });
  }
  const headers = watchHeaders(c.req.raw.headers, { mode, ...who, origin: originOf(c), after: afterOf(c) });
  const { signal } = c.req.raw;
  const answer = await stub.fetch(new Request(c.req.url, { headers, signal }));
  const refusal = readRefusal(answer);
  if (refusal !== null) throw refusalProblem(refusal);
  // Copied: the headers of an object's answer cannot be added to. A WebSocket goes along by itself.
  const copy = new Response(answer.body, answer);
  if (mode === "sse") copy.headers.set("Vary", PRIVATE_VARY);
  return copy;
}

/** What a stream would begin with, for HEAD: none is opened. `ended`: it is finished, and the watcher has seen all. */
export function streamHead(ended: boolean): Response {
  const headers = { "Cache-Control": "no-store", Vary: PRIVATE_VARY };
  if (ended) return new Response(null, { status: 204, headers });
  return new Response(null, { headers: { ...headers, "Content-Type": "text/event-stream; charset=utf-8" } });
}
