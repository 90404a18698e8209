import type { JobEvent } from "../../schemas/event.ts";
import type { Job } from "../../schemas/job.ts";
import { JOB_ID_PATTERN, paths } from "../../schemas/paths.ts";
import type { Delivery } from "../../schemas/webhook.ts";
import { createLinks } from "../auth/links.ts";
import type { ClientSpend } from "../catalog/contract.ts";
import type { JobRefusal, JobView, ShownJob } from "../job/contract.ts";
import { type LinkMaker, presentJob, presentShared, retryAfterSeconds } from "../job/core/present.ts";
import { fromMicros } from "../spend/core/money.ts";
import { answer, jsonAnswer, jsonTextAnswer, PRIVATE_VARY, ProblemError } from "./answers.ts";
import { type HttpContext, originOf } from "./context.ts";
import { jobTimeline } from "./core/job-timeline.ts";
import { jobEtag, matchesEtag } from "./core/request-headers.ts";

const VARY = `${PRIVATE_VARY}, Prefer`;

/** The job's id in the path. A text that cannot be an id is answered like an unknown job, and wakes no object. */
export function jobIdOf(c: HttpContext): string {
  const id = c.req.param("id") ?? "";
  if (!JOB_ID_PATTERN.test(id)) throw jobProblem({ ok: false, code: "job_not_found" });
  return id;
}

/** What a client has used of its spend limit, as the API shows it. */
export function spendShown({
  currency,
  limitMicros,
  chargedMicros,
  reservedMicros,
  atRiskMicros,
  resetsAtMs,
}: ClientSpend) {
  return {
    currency,
    limit: fromMicros(limitMicros),
    charged: fromMicros(chargedMicros),
    reserved: fromMicros(reservedMicros),
    atRisk: fromMicros(atRiskMicros),
    resetsAt: new Date(resetsAtMs).toISOString(),
  };
}

/** The same in words, without the limit. */
export function usedWords(spend: ClientSpend): string {
  const { charged, reserved, atRisk } = spendShown(spend);
  return `${charged} charged, ${reserved} reserved for jobs under way, ${atRisk} at risk`;
}

/** The problem for an object's refusal. */
export function jobProblem(refusal: JobRefusal): ProblemError {
  switch (refusal.code) {
    case "job_not_found":
      // The same answer for an unknown job and for another client's.
      return new ProblemError("job_not_found", "There is no such job, or it is another client's.");
    case "job_gone":
      return new ProblemError("job_gone", "The job was deleted, or its retention is over; its images are gone too.");
    case "job_finished":
      return new ProblemError("job_finished", `The job has ${refusal.status} already, and stays so.`);
    case "job_not_finished":
      return new ProblemError(
        "job_not_finished",
        `The job is ${refusal.status}; only a failed or canceled one is retried.`,
      );
    case "idempotency_key_reused":
      return new ProblemError(
        "idempotency_key_reused",
        `This Idempotency-Key belongs to a job with another ${refusal.fields.join(", ")}. A new submission needs a new key.`,
        {
          errors: refusal.fields.map((field) => ({
            path: `/${field.replace(/^\//, "")}`,
            message: "differs from the first submission with this key",
          })),
          headers: { Link: '</api/docs#idempotency>; rel="describedby"' },
        },
      );
    case "image_not_found":
      return new ProblemError("image_not_found", "The job has no image of this number.");
    case "delivery_not_found":
      return new ProblemError("delivery_not_found", "The job has no delivery of this number; its list has them all.");
    case "upload_timed_out":
      return new ProblemError("upload_timed_out", "The images of the submission took too long; send it again.");
    case "grant_expired":
      return new ProblemError("overloaded", "Storing the job took too long; send the request again.", {
        headers: { "Retry-After": "1" },
      });
    case "budget_exceeded": {
      const shown = spendShown(refusal.spend);
      return new ProblemError(
        "budget_exceeded",
        `The client's spend limit of ${shown.limit} ${shown.currency} a month has no room for this: ${usedWords(refusal.spend)}. It starts again at ${shown.resetsAt}; the operator can raise it in CLIENT_BUDGETS.`,
        { spend: shown },
      );
    }
    case "price_unknown":
      return new ProblemError(
        "price_unknown",
        `This client has a spend limit, and what ${refusal.model} costs was not known when the job was submitted. Submit it again; if the price is not known now either, the operator can say it in PRICES.`,
      );
    default:
      throw new Error(`no such refusal: ${JSON.stringify(refusal satisfies never)}`);
  }
}

/** `notAfterMs`: the end of the link by which the asker came; null for a client or the operator. */
export function linksFor(c: HttpContext, notAfterMs: number | null = null): LinkMaker {
  return createLinks(c.get("config"), originOf(c), Date.now(), notAfterMs);
}

interface JobAnswerOptions {
  /** Present for the text form: the newest events of the job's log. */
  readonly events?: readonly JobEvent[];
  /** For the text form: the job's webhooks. */
  readonly deliveries?: readonly Delivery[];
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The headers that make polling cheap: the job's version, and when to ask again. */
function pollHeaders(etag: string, retryAfter: number | null): Record<string, string> {
  const headers: Record<string, string> = { ETag: etag, Vary: VARY };
  if (retryAfter !== null) headers["Retry-After"] = String(retryAfter);
  return headers;
}

/** Whether this is a read, and the client already has this version: then the answer is 304. */
function isUnchanged(c: HttpContext, etag: string): boolean {
  const isRead = c.req.method === "GET" || c.req.method === "HEAD";
  return isRead && matchesEtag(c.req.header("if-none-match"), etag);
}

/** The answer to a poll: the job as its object has written it. */
export function shownAnswer(c: HttpContext, { tag, epoch, retryAfterSeconds, json }: ShownJob): Response {
  const etag = jobEtag(tag, epoch, "json");
  const headers = pollHeaders(etag, retryAfterSeconds);
  return isUnchanged(c, etag) ? answer(c, null, 304, headers) : jsonTextAnswer(c, json, 200, headers);
}

/**
 * The answer to a reader with a share link: with an unsigned link to its events (which need a token), and with no link that ends
 * later than the share link.
 */
export function sharedAnswer(c: HttpContext, view: JobView, linkEndsAtMs: number): Response {
  const links = linksFor(c, linkEndsAtMs);
  const etag = jobEtag(view.tag, `${links.epoch}-${linkEndsAtMs.toString(36)}`, "json");
  const headers = pollHeaders(etag, retryAfterSeconds(view, Date.now()));
  if (isUnchanged(c, etag)) return answer(c, null, 304, headers);
  const job = presentShared(view, links);
  const events = `${originOf(c)}${paths.jobEvents(view.id)}`;
  return jsonAnswer(c, { ...job, links: { ...job.links, events } } satisfies Job, 200, headers);
}

/** Part of the version of the text form: changes with every try. A delivery does not change the job's own version. */
export function deliveriesTag(deliveries: readonly Delivery[]): string {
  if (deliveries.length === 0) return "";
  const tries = deliveries.map(({ state, tries }) => `${tries.at(-1)?.number ?? 0}${state[0]}`);
  return `~${tries.join("~")}`;
}

/** Answers the job with its version, and when to ask again. */
export function jobAnswer(c: HttpContext, view: JobView, options: JobAnswerOptions = {}): Response {
  const { events, deliveries = [], status = 200 } = options;
  const links = linksFor(c);
  const etag = jobEtag(`${view.tag}${deliveriesTag(deliveries)}`, links.epoch, events === undefined ? "json" : "text");
  const nowMs = Date.now();
  const headers = { ...pollHeaders(etag, retryAfterSeconds(view, nowMs)), ...options.headers };
  if (isUnchanged(c, etag)) return answer(c, null, 304, headers);
  const job = presentJob(view, links);
  if (events === undefined) return jsonAnswer(c, job, status, headers);
  const { authMode, attemptBudgetMs: budgetMs, lateAnswerMs } = c.get("config");
  // The log may have grown since the job was read.
  const known = events.filter(({ seq }) => seq <= job.seq);
  const text = jobTimeline(job, known, { nowMs, budgetMs, lateAnswerMs, withToken: authMode === "token", deliveries });
  return answer(c, text, status, { ...headers, "Content-Type": "text/plain; charset=utf-8" });
}
