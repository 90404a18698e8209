import { z } from "zod";
import type { JobEvent } from "../../schemas/event.ts";
import { Job, JobPatchBody, MAX_SHARE_HOURS, Share, ShareOptions } from "../../schemas/job.ts";
import { paths } from "../../schemas/paths.ts";
import type { ProblemCode } from "../../schemas/problem.ts";
import type { Delivery } from "../../schemas/webhook.ts";
import { shareLink } from "../auth/links.ts";
import type { JobAnswer, JobRpc, JobView, Viewer } from "../job/contract.ts";
import { retryRefusal } from "../job/core/request-moves.ts";
import { newCatalogEntry } from "../job/core/view.ts";
import { jobStub } from "../stubs.ts";
import { loggedOfOperator } from "./access.ts";
import { answer, jsonAnswer, negotiate, ProblemError, PUBLIC_VARY } from "./answers.ts";
import { type HttpContext, originOf } from "./context.ts";
import { preferredWaitSeconds, tagToWaitOn } from "./core/request-headers.ts";
import { deliveriesTag, jobAnswer, jobIdOf, jobProblem, linksFor, sharedAnswer, shownAnswer } from "./job-answers.ts";
import { showInCatalog } from "./new-jobs.ts";
import { headers, JOB_HEADERS, json, shown } from "./openapi/answers.ts";
import { clientRoute, linkRoute, PREFER, type Route } from "./route.ts";
import { idempotencyKeyOf } from "./submit.ts";
import { JSON_BODY_PROBLEMS, jsonBody, parseJson, smallBody } from "./submit-body.ts";
import { brakeSubmissions, MOST_RENEWALS, returnPending, takePending } from "./submit-limits.ts";

/** The job of the path, and its viewer. */
export interface AskedJob {
  readonly id: string;
  readonly viewer: Viewer;
  readonly rpc: JobRpc;
}

function askedJob(c: HttpContext, viewer: Viewer): AskedJob {
  const id = jobIdOf(c);
  return { id, viewer, rpc: jobStub(c.env, id) };
}

export function viewOf(answered: JobAnswer<{ view: JobView }>): JobView {
  if (!answered.ok) throw jobProblem(answered);
  return answered.view;
}

/**
 * A precondition is never ignored. A job's tags are weak (one version has several forms), and `If-Match` compares strongly,
 * so that only `*` can match.
 */
async function refuseOtherVersion(c: HttpContext, { rpc, viewer }: AskedJob): Promise<void> {
  const ifMatch = c.req.header("if-match");
  if (ifMatch === undefined || ifMatch.trim() === "*") return;
  viewOf(await rpc.view(viewer));
  const detail = "A job's ETag is weak, and If-Match never matches a weak one; leave it out.";
  throw new ProblemError("precondition_failed", detail);
}

interface Retried {
  readonly view: JobView;
  /** The request repeats the job's last retry: nothing was run again. */
  readonly replayed: boolean;
}

function retriedOf(answered: Awaited<ReturnType<AskedJob["rpc"]["retry"]>>): Retried {
  return { view: viewOf(answered), replayed: answered.ok && answered.replayed === true };
}

/**
 * Retries within the client's limits on the rate of submissions and on unfinished jobs: a retry counts as a submission. A request
 * that repeats the job's last retry, by its Idempotency-Key, gets the job as it is now, also at a limit.
 */
export async function retryWithinLimit(c: HttpContext, { rpc, viewer }: AskedJob): Promise<Retried> {
  const key = idempotencyKeyOf(c);
  if (key === null && viewer !== null) brakeSubmissions(c, viewer);
  const known = await rpc.view(viewer);
  const view = viewOf(known);
  if (key !== null && known.ok && known.retryKey === key) return { view, replayed: true };
  if (key !== null && viewer !== null) brakeSubmissions(c, viewer);
  // A job that cannot be retried is refused for that reason, even at the limit. It is not asked: it may be canceled meanwhile, and
  // would then be retried although no room was taken.
  const refusal = retryRefusal(view.status);
  if (refusal !== null) throw jobProblem(refusal);
  for (let renewals = 0; ; renewals++) {
    const taken = await takePending(c, view.client);
    if (taken instanceof ProblemError) throw taken;
    // When the call fails the retry may have been carried out, so its room is kept.
    const answered = await rpc.retry(viewer, key, taken.endsAtMs);
    if (!answered.ok || answered.replayed === true) returnPending(taken);
    else showInCatalog(c, view.client, newCatalogEntry(answered.view));
    const isLate = !answered.ok && answered.code === "grant_expired";
    if (!isLate || renewals === MOST_RENEWALS) return retriedOf(answered);
  }
}

/**
 * The job now; or, with `Prefer: wait` and `If-None-Match`, once it has changed or is done. A try of its webhook does not end the
 * wait.
 */
async function readJob(c: HttpContext, asked: AskedJob, form: "json" | "text") {
  const { rpc, viewer } = asked;
  const waitSeconds = preferredWaitSeconds(c.req.header("prefer"));
  if (waitSeconds === null) return { view: viewOf(await rpc.view(viewer)), headers: {} };
  const ifNoneMatch = c.req.header("if-none-match");
  const shownTries = form === "text" && ifNoneMatch !== undefined ? deliveriesTag(await deliveriesOf(asked)) : "";
  const tag = tagToWaitOn(ifNoneMatch, linksFor(c).epoch, form, shownTries);
  // The client's version is outdated, so there is nothing to wait for.
  const isOutdated = ifNoneMatch !== undefined && tag === null;
  const answered = isOutdated ? await rpc.view(viewer) : await rpc.wait(viewer, tag, waitSeconds * 1000);
  return { view: viewOf(answered), headers: { "Preference-Applied": `wait=${waitSeconds}` } };
}

/** How many events of a long log the text form shows. */
const SHOWN_EVENTS = 80;

async function newestEvents({ rpc, viewer }: AskedJob, view: JobView): Promise<readonly JobEvent[]> {
  const answered = await rpc.events(viewer, Math.max(0, view.seq - SHOWN_EVENTS), SHOWN_EVENTS);
  if (!answered.ok) throw jobProblem(answered);
  return answered.events;
}

async function deliveriesOf({ rpc, viewer }: AskedJob): Promise<readonly Delivery[]> {
  const answered = await rpc.deliveries(viewer);
  if (!answered.ok) throw jobProblem(answered);
  return answered.list.deliveries;
}

const ONE_JOB: readonly ProblemCode[] = ["job_not_found", "job_gone", "precondition_failed"];

const readHeaders = z.object({
  "If-None-Match": z.string().optional().meta({ description: "An ETag; the same version is a 304." }),
  Prefer: PREFER,
});

const JOB_FORMS = ["application/json", "text/plain", "text/html"] as const;

const get = linkRoute(
  {
    method: "GET",
    path: paths.job(":id"),
    id: "getJob",
    tag: "Jobs",
    summary: "One job, now or once it changes",
    description:
      "As JSON; as text/plain, a timeline for people; text/html leads to the page. The query of a share link opens it without a token, as JSON.",
    headers: readHeaders,
    answers: {
      "200": {
        ...json("The job.", Job, "succeededJob", JOB_HEADERS),
        content: { "application/json": shown(Job, "succeededJob"), "text/plain": shown(z.string()) },
      },
      "303": { description: "To the page, for `Accept: text/html`.", headers: headers("Location") },
      "304": { description: "Unchanged since the version in `If-None-Match`.", headers: headers(...JOB_HEADERS) },
    },
    problems: [...ONE_JOB, "not_acceptable"],
  },
  (c) => ({ kind: "job", jobId: jobIdOf(c) }),
  async (c, { viewer, linkEndsAtMs }) => {
    const asked = askedJob(c, viewer);
    await refuseOtherVersion(c, asked);
    if (linkEndsAtMs !== null) return sharedAnswer(c, viewOf(await asked.rpc.view(viewer)), linkEndsAtMs);
    if (negotiate(c, JOB_FORMS) === "text/plain") {
      const { view, headers: waited } = await readJob(c, asked, "text");
      const [events, deliveries] = await Promise.all([newestEvents(asked, view), deliveriesOf(asked)]);
      return jobAnswer(c, view, { headers: waited, events, deliveries });
    }
    if (preferredWaitSeconds(c.req.header("prefer")) === null) {
      // A program that polls: the job's object writes the JSON, and one text crosses over instead of a tree.
      const read = await asked.rpc.show(viewer, originOf(c));
      if (!read.ok) throw jobProblem(read);
      return shownAnswer(c, read);
    }
    const { view, headers: waited } = await readJob(c, asked, "json");
    return jobAnswer(c, view, { headers: waited });
  },
);

/**
 * Sends a browser that opens the job's address to the page, which authenticates by itself. The redirect reveals nothing about
 * the job.
 */
const getOrPage: Route = {
  ...get,
  handle: (c) => {
    if (negotiate(c, JOB_FORMS) !== "text/html") return get.handle(c);
    return answer(c, null, 303, { Location: paths.jobPage(jobIdOf(c)), Vary: PUBLIC_VARY });
  },
};

/** Many times what the options need. */
const MAX_SHARE_BYTES = 1_024;

async function shareOptionsOf(c: HttpContext): Promise<z.infer<typeof ShareOptions>> {
  const text = new TextDecoder().decode(await smallBody(c, MAX_SHARE_BYTES));
  const options = ShareOptions.safeParse(parseJson(text));
  if (options.success) return options.data;
  const message = `must be a whole number from 1 to ${MAX_SHARE_HOURS}, and all that the body holds`;
  throw new ProblemError("invalid_request", `hours ${message}.`, { errors: [{ path: "/hours", message }] });
}

/** Of a retry, alone or of many jobs. */
export const retryHeaders = z.object({
  "Idempotency-Key": z.string().optional().meta({
    description:
      "As of a submission. A retry with the key of the job's last retry is the same retry: it answers the job as it is now, and nothing is run or paid again.",
  }),
});

/** One job: read it in any form, share it, cancel it, retry it, remove it. */
export const JOB_ROUTES: readonly Route[] = [
  getOrPage,
  clientRoute(
    {
      method: "POST",
      path: paths.jobShare(":id"),
      id: "shareJob",
      tag: "Jobs",
      summary: "A link by which anyone may see the job until its end",
      description:
        "Leads to a page that only shows the job, without its metadata, its client's spend and the reason for a pause. Only deleting the job takes it back earlier.",
      json: true,
      body: {
        required: true,
        content: { "application/json": { schema: ShareOptions, example: { hours: 72 } } },
      },
      answers: { "200": json("The link.", Share, "share") },
      problems: ["job_not_found", "job_gone", "invalid_request", "malformed_json", "malformed_body", "body_too_large"],
    },
    async (c, { asker, viewer }) => {
      const { id, rpc } = askedJob(c, viewer);
      viewOf(await rpc.view(viewer));
      const { hours } = await shareOptionsOf(c);
      const action = { action: "job.share", target: id, details: { hours } } as const;
      return loggedOfOperator(c, asker, action, async () => {
        const endsAtMs = Math.floor(Date.now() / 1000 + hours * 3600) * 1000;
        const share: Share = {
          url: shareLink(c.get("config"), originOf(c), id, endsAtMs),
          expiresAt: new Date(endsAtMs).toISOString(),
        };
        return jsonAnswer(c, share);
      });
    },
  ),
  clientRoute(
    {
      method: "PATCH",
      path: paths.job(":id"),
      id: "patchJob",
      tag: "Jobs",
      summary: "Pins or unpins the job, or replaces its metadata",
      description:
        "Works in every state, also when the job is done. A pinned job and its images are kept beyond `expiresAt`. Unpinned after that time, the job is removed at once.",
      json: true,
      body: { content: { "application/json": { schema: JobPatchBody, example: { pinned: true } } } },
      answers: { "200": json("The job as it now is.", Job, "succeededJob", JOB_HEADERS) },
      problems: [...ONE_JOB, ...JSON_BODY_PROBLEMS],
    },
    async (c, { asker, viewer }) => {
      const asked = askedJob(c, viewer);
      await refuseOtherVersion(c, asked);
      const { pinned, metadata } = await jsonBody(c, JobPatchBody);
      const patch = { ...(pinned === undefined ? {} : { pinned }), ...(metadata === undefined ? {} : { metadata }) };
      const action = { action: "job.patch", target: asked.id, details: patch } as const;
      const patched = () => asked.rpc.patch(viewer, patch).then(viewOf);
      return jobAnswer(c, await loggedOfOperator(c, asker, action, patched));
    },
  ),
  clientRoute(
    {
      method: "DELETE",
      path: paths.job(":id"),
      id: "deleteJob",
      tag: "Jobs",
      summary: "Removes the job and its images",
      description: "Cancels it if needed. From then on everything about it is 410.",
      answers: { "204": { description: "Removed.", headers: headers() } },
      problems: ONE_JOB,
    },
    async (c, { asker, viewer }) => {
      const asked = askedJob(c, viewer);
      await refuseOtherVersion(c, asked);
      const action = { action: "job.delete", target: asked.id, details: {} } as const;
      await loggedOfOperator(c, asker, action, async () => {
        const answered = await asked.rpc.remove(viewer);
        if (!answered.ok) throw jobProblem(answered);
      });
      return answer(c, null, 204, {});
    },
  ),
  clientRoute(
    {
      method: "POST",
      path: paths.jobCancel(":id"),
      id: "cancelJob",
      tag: "Jobs",
      summary: "Cancels the job",
      description: "Works at once in every unfinished state; again, it gives the same answer.",
      json: true,
      answers: { "200": json("The job as it now is.", Job, "canceledJob", JOB_HEADERS) },
      problems: [...ONE_JOB, "job_finished"],
    },
    async (c, { asker, viewer }) => {
      const asked = askedJob(c, viewer);
      await refuseOtherVersion(c, asked);
      const action = { action: "job.cancel", target: asked.id, details: {} } as const;
      const canceled = () => asked.rpc.cancel(viewer).then(viewOf);
      return jobAnswer(c, await loggedOfOperator(c, asker, action, canceled));
    },
  ),
  clientRoute(
    {
      method: "POST",
      path: paths.jobRetry(":id"),
      id: "retryJob",
      tag: "Jobs",
      summary: "Queues a failed or canceled job again",
      json: true,
      headers: retryHeaders,
      answers: {
        "200": json("The job as it now is.", Job, "queuedJob", ["Idempotency-Replayed", ...JOB_HEADERS]),
      },
      problems: [
        ...ONE_JOB,
        "job_finished",
        "job_not_finished",
        "invalid_idempotency_key",
        "client_paused",
        "budget_exceeded",
        "price_unknown",
        "too_many_pending_jobs",
        "rate_limited",
      ],
    },
    async (c, { asker, viewer }) => {
      const asked = askedJob(c, viewer);
      await refuseOtherVersion(c, asked);
      const action = { action: "job.retry", target: asked.id, details: {} } as const;
      const { view, replayed } = await loggedOfOperator(c, asker, action, () => retryWithinLimit(c, asked));
      return jobAnswer(c, view, replayed ? { headers: { "Idempotency-Replayed": "true" } } : {});
    },
  ),
];
