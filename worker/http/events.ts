import { EventPage, FeedFrame, JobFrame } from "../../schemas/event.ts";
import { paths } from "../../schemas/paths.ts";
import type { ProblemCode } from "../../schemas/problem.ts";
import { catalogStub, jobStub } from "../stubs.ts";
import { readRefusal, type WatchRefusal, watchHeaders } from "../watch/watch-request.ts";
import { clientOf, type LinkViewer } from "./access.ts";
import { answer, jsonAnswer, negotiate, PRIVATE_VARY, ProblemError } from "./answers.ts";
import { type HttpContext, isUpgrade, originOf } from "./context.ts";
import { jobIdOf, jobProblem } from "./job-answers.ts";
import { headers, shown } from "./openapi/answers.ts";
import { whole } from "./query.ts";
import { clientRoute, linkRoute, type Route } from "./route.ts";

/** The part of a stub that streams need. */
interface Watchable {
  fetch(request: Request): Promise<Response>;
}

const after = whole(
  { min: 0, max: Number.MAX_SAFE_INTEGER, fallback: null },
  "The last number seen; later events follow. `Last-Event-ID` says the same.",
);

/** The last number that the watcher has seen: `?after=`, or what EventSource sends when it reconnects. */
function lastSeen(c: HttpContext, given: number | null): number | null {
  if (given !== null) return given;
  const last = c.req.header("last-event-id");
  return last !== undefined && /^\d{1,15}$/.test(last) ? Number(last) : null;
}

function refusalProblem(code: WatchRefusal): ProblemError {
  if (code === "too_many_watchers") {
    return new ProblemError("too_many_watchers", "One object serves no more watchers; poll, or try later.", {
      headers: { "Retry-After": "30" },
    });
  }
  return jobProblem({ ok: false, code });
}

/** Passes the request (an upgrade or SSE) to the object that streams. The object may still refuse it. */
async function watchAnswer(
  c: HttpContext,
  stub: Watchable,
  who: LinkViewer,
  afterSeen: number | null,
): Promise<Response> {
  const mode = isUpgrade(c) ? "ws" : "sse";
  const version = c.req.header("sec-websocket-version");
  if (mode === "ws" && version !== undefined && version !== "13") {
    throw new ProblemError("upgrade_required", "WebSocket version 13 is spoken here.", {
      headers: { Upgrade: "websocket", "Sec-WebSocket-Version": "13" },
    });
  }
  const given = watchHeaders(c.req.raw.headers, { mode, ...who, origin: originOf(c), after: afterSeen });
  const { signal } = c.req.raw;
  const streamed = await stub.fetch(new Request(c.req.url, { headers: given, signal }));
  const refusal = readRefusal(streamed);
  if (refusal !== null) throw refusalProblem(refusal);
  // Copied, because the headers of an object's answer are immutable. The copy keeps the WebSocket.
  const copy = new Response(streamed.body, streamed);
  if (mode === "sse") copy.headers.set("Vary", PRIVATE_VARY);
  return copy;
}

/**
 * The head that a stream would have, for HEAD; no stream is opened. `ended`: the stream is finished and the watcher has seen
 * all of it.
 */
function streamHead(c: HttpContext, ended: boolean): Response {
  const own = { "Cache-Control": "no-store", Vary: PRIVATE_VARY };
  if (ended) return answer(c, null, 204, own);
  return answer(c, null, 200, { ...own, "Content-Type": "text/event-stream; charset=utf-8" });
}

const STREAM =
  "SSE: `event: job`, `id:` its number, `data:` the frame. WebSocket: the same frames as text; the text `ping` is answered `pong`.";
const SWITCHING = { description: "WebSocket: frames follow.", headers: headers() };
const STREAM_PROBLEMS: readonly ProblemCode[] = [
  "forbidden_origin",
  "not_acceptable",
  "upgrade_required",
  "too_many_watchers",
];

/** One job's log in three forms, and the live feed of all jobs of a client. */
export const EVENT_ROUTES: readonly Route[] = [
  linkRoute(
    {
      method: "GET",
      path: paths.jobEvents(":id"),
      id: "watchJob",
      tag: "Watch",
      summary: "A job's log: JSON, SSE or WebSocket",
      description: `The same numbered events three ways. ${STREAM} After the frame with \`job.done\` the server closes with 1000.`,
      query: {
        after,
        limit: whole({ min: 1, max: 1000, fallback: 100 }, "100 when absent. Of the JSON form only."),
      },
      answers: {
        "101": SWITCHING,
        "200": {
          description: "The events so far, or a stream of frames.",
          headers: headers(),
          content: {
            "application/json": shown(EventPage, "eventPage"),
            "text/event-stream": shown(JobFrame, "jobFrame"),
          },
        },
        "204": { description: "SSE: finished, and nothing came after `after`.", headers: headers() },
      },
      problems: ["job_not_found", "job_gone", ...STREAM_PROBLEMS],
    },
    (c) => ({ kind: "events", jobId: jobIdOf(c) }),
    async (c, who, query) => {
      const job = jobStub(c.env, jobIdOf(c));
      const seen = lastSeen(c, query.after);
      const isStream = isUpgrade(c) || negotiate(c, ["application/json", "text/event-stream"]) === "text/event-stream";
      if (isStream && c.req.method !== "HEAD") return await watchAnswer(c, job, who, seen);
      const read = await job.events(who.viewer, seen ?? 0, isStream ? 1 : query.limit);
      if (!read.ok) throw jobProblem(read);
      if (isStream) return streamHead(c, seen !== null && read.done && read.events.length === 0);
      return jsonAnswer(c, { events: read.events, nextAfter: read.nextAfter } satisfies EventPage);
    },
  ),
  clientRoute(
    {
      method: "GET",
      path: paths.feed,
      id: "watchJobs",
      tag: "Watch",
      summary: "The live feed of all of the client's jobs: SSE or WebSocket",
      description: `${STREAM} \`?after=\` a frame's \`cursor\` gives every job that changed since, as it is now; \`ready\` ends the catching up.`,
      query: { after },
      answers: {
        "101": SWITCHING,
        "200": {
          description: "A stream of frames.",
          headers: headers(),
          content: { "text/event-stream": shown(FeedFrame, "feedFrame") },
        },
      },
      problems: STREAM_PROBLEMS,
    },
    async (c, { viewer, query }) => {
      const client = clientOf(viewer);
      if (!isUpgrade(c)) negotiate(c, ["text/event-stream"]);
      if (c.req.method === "HEAD") return streamHead(c, false);
      const who = { viewer: client, linkEndsAtMs: null };
      return await watchAnswer(c, catalogStub(c.env, client), who, lastSeen(c, query.after));
    },
  ),
];
