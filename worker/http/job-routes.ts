import { Hono } from "hono";
import type { JobEvent } from "../../schemas/event.ts";
import { paths } from "../../schemas/paths.ts";
import type { JobAnswer, JobRpc, JobView, Viewer } from "../job/contract.ts";
import { jobStub } from "../stubs.ts";
import { requireAsker, viewerOf } from "./asker.ts";
import { tagToWaitOn } from "./core/etag.ts";
import { preferredWaitSeconds } from "./core/prefer.ts";
import { type HttpContext, type HttpEnv, originOf } from "./http-env.ts";
import { jobAnswer, linksFor, shownAnswer } from "./job-answer.ts";
import { jobIdOf } from "./job-id.ts";
import { jobProblem } from "./job-problem.ts";
import { answersJson, negotiate } from "./json-answer.ts";
import { PUBLIC_VARY } from "./negotiated.ts";
import { clientQuery } from "./openapi/parameters.ts";
import { returnPending, takePending, tooManyPending } from "./pending-allowance.ts";
import { ProblemError } from "./problem.ts";
import { queryCheck } from "./query.ts";
import { brakeSubmissions } from "./submit-brake.ts";

const checkQuery = queryCheck(clientQuery);

interface Asked {
  readonly id: string;
  readonly viewer: Viewer;
  readonly job: JobRpc;
}

/** The job of the path, for whoever asks. */
function askedJob(c: HttpContext): Asked {
  const viewer = viewerOf(c, requireAsker(c));
  checkQuery(c);
  const id = jobIdOf(c);
  return { id, viewer, job: jobStub(c.env, id) };
}

/**
 * A precondition is never passed over. A job's tags are weak (the same version has several forms), and `If-Match` compares
 * strongly, so that nothing but `*` can hold.
 */
async function refuseOtherVersion(c: HttpContext, { job, viewer }: Asked): Promise<void> {
  if (c.req.header("if-match")?.trim() === "*") return;
  viewOf(await job.view(viewer));
  throw new ProblemError(
    "precondition_failed",
    "A job's ETag is weak, and If-Match never matches a weak one; leave it out.",
  );
}

/** As a submission is: within the client's limit on unfinished jobs, whoever asks. */
async function retryWithinLimit(c: HttpContext, { job, viewer }: Asked): Promise<JobView> {
  const { client, status } = viewOf(await job.view(viewer));
  // What is refused for the job's own sake is refused for that, at the limit too.
  if (status !== "failed" && status !== "canceled") return viewOf(await job.retry(viewer));
  const taken = await takePending(c, client);
  if (taken === null) throw tooManyPending(c.get("config").maxPendingJobs);
  // After an error the job may be retried: its place is kept until the catalog knows or the promise ends.
  const answer = await job.retry(viewer);
  if (!answer.ok) returnPending(taken);
  return viewOf(answer);
}

function viewOf(answer: JobAnswer<{ view: JobView }>): JobView {
  if (!answer.ok) throw jobProblem(answer);
  return answer.view;
}

/** The job now; or, as `Prefer: wait` and `If-None-Match` ask, once it is another or done. */
async function readJob(c: HttpContext, { job, viewer }: Asked, form: "json" | "text") {
  const waitSeconds = preferredWaitSeconds(c.req.header("prefer"));
  if (waitSeconds === null) return { view: viewOf(await job.view(viewer)), headers: {} };
  const ifNoneMatch = c.req.header("if-none-match");
  const tag = tagToWaitOn(ifNoneMatch, linksFor(c).epoch, form);
  // A version that is not the current one any more is news already.
  const isNews = ifNoneMatch !== undefined && tag === null;
  const answer = isNews ? await job.view(viewer) : await job.wait(viewer, tag, waitSeconds * 1000);
  return { view: viewOf(answer), headers: { "Preference-Applied": `wait=${waitSeconds}` } };
}

/** The job now, for a program that asks again and again. */
async function polled(c: HttpContext, { job, viewer }: Asked): Promise<Response> {
  const shown = await job.show(viewer, originOf(c));
  if (!shown.ok) throw jobProblem(shown);
  return shownAnswer(c, shown);
}

/** Of a long life the text shows this many events. */
const TOLD_EVENTS = 80;

async function newestEvents({ job, viewer }: Asked, view: JobView): Promise<readonly JobEvent[]> {
  const answer = await job.events(viewer, Math.max(0, view.seq - TOLD_EVENTS), TOLD_EVENTS);
  if (!answer.ok) throw jobProblem(answer);
  return answer.events;
}

/** One job: read it in any form, call it off, ask for it again, remove it. */
export const jobRoutes = new Hono<HttpEnv>()
  .get(paths.job(":id"), async (c) => {
    const type = negotiate(c, ["application/json", "text/plain", "text/html"]);
    if (type === "text/html") {
      checkQuery(c);
      // The page asks for itself who is there; the address tells nothing.
      const page = paths.jobPage(jobIdOf(c));
      return new Response(null, { status: 303, headers: { Location: page, Vary: PUBLIC_VARY } });
    }
    const asked = askedJob(c);
    if (c.req.header("if-match") !== undefined) await refuseOtherVersion(c, asked);
    if (type !== "text/plain") {
      if (preferredWaitSeconds(c.req.header("prefer")) === null) return await polled(c, asked);
      const { view, headers } = await readJob(c, asked, "json");
      return jobAnswer(c, view, { headers });
    }
    const { view, headers } = await readJob(c, asked, "text");
    return jobAnswer(c, view, { headers, events: await newestEvents(asked, view) });
  })
  .delete(paths.job(":id"), async (c) => {
    const asked = askedJob(c);
    if (c.req.header("if-match") !== undefined) await refuseOtherVersion(c, asked);
    const answer = await asked.job.remove(asked.viewer);
    if (!answer.ok) throw jobProblem(answer);
    return new Response(null, { status: 204 });
  })
  .post(paths.jobCancel(":id"), answersJson, async (c) => {
    const asked = askedJob(c);
    if (c.req.header("if-match") !== undefined) await refuseOtherVersion(c, asked);
    return jobAnswer(c, viewOf(await asked.job.cancel(asked.viewer)));
  })
  .post(paths.jobRetry(":id"), answersJson, async (c) => {
    const asked = askedJob(c);
    if (asked.viewer !== null) brakeSubmissions(c, asked.viewer);
    if (c.req.header("if-match") !== undefined) await refuseOtherVersion(c, asked);
    return jobAnswer(c, await retryWithinLimit(c, asked));
  });
