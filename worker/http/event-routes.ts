import { Hono } from "hono";
import type { EventPage } from "../../schemas/event.ts";
import { paths } from "../../schemas/paths.ts";
import { catalogStub, jobStub } from "../stubs.ts";
import { clientOf, isUpgrade, requireAsker } from "./asker.ts";
import type { HttpContext, HttpEnv } from "./http-env.ts";
import { jobIdOf } from "./job-id.ts";
import { jobProblem } from "./job-problem.ts";
import { jsonAnswer, negotiate } from "./json-answer.ts";
import { linkViewer } from "./link-access.ts";
import { eventsQuery, feedQuery } from "./openapi/parameters.ts";
import { queryCheck, wholeNumberOf } from "./query.ts";
import { afterOf, streamHead, watchAnswer } from "./watch-answer.ts";

const checkEventsQuery = queryCheck(eventsQuery);
const checkFeedQuery = queryCheck(feedQuery);
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

/** Whether a stream is asked for. */
function wantsStream(c: HttpContext, isJsonToo: boolean): boolean {
  if (isUpgrade(c)) return true;
  if (!isJsonToo) return negotiate(c, ["text/event-stream"]) === "text/event-stream";
  return negotiate(c, ["application/json", "text/event-stream"]) === "text/event-stream";
}

/** One job's log in three ways, and the live feed of all of a client's jobs. */
export const eventRoutes = new Hono<HttpEnv>()
  .get(paths.jobEvents(":id"), async (c) => {
    const id = jobIdOf(c);
    const who = linkViewer(c, { kind: "events", jobId: id });
    const { viewer } = who;
    checkEventsQuery(c);
    const wanted = wantsStream(c, true);
    if (wanted && c.req.method === "HEAD") {
      const after = afterOf(c);
      const answer = await jobStub(c.env, id).events(viewer, after ?? 0, 1);
      if (!answer.ok) throw jobProblem(answer);
      return streamHead(after !== null && answer.done && answer.events.length === 0);
    }
    if (wanted) return await watchAnswer(c, jobStub(c.env, id), who);
    const limit = wholeNumberOf(c, "limit", 1, MAX_LIMIT) ?? DEFAULT_LIMIT;
    const answer = await jobStub(c.env, id).events(viewer, afterOf(c) ?? 0, limit);
    if (!answer.ok) throw jobProblem(answer);
    const page: EventPage = { events: answer.events, nextAfter: answer.nextAfter };
    return jsonAnswer(c, page);
  })
  .get(paths.feed, async (c) => {
    const client = clientOf(c, requireAsker(c));
    checkFeedQuery(c);
    wantsStream(c, false);
    if (c.req.method === "HEAD") return streamHead(false);
    return await watchAnswer(c, catalogStub(c.env, client), { viewer: client, linkEndsAtMs: null });
  });
