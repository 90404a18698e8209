import type { JobEvent } from "../../schemas/event.ts";
import { createLinks } from "../auth/links.ts";
import type { JobView, ShownJob } from "../job/contract.ts";
import { type LinkMaker, presentJob } from "../job/core/present.ts";
import { retryAfterSeconds } from "../job/core/retry-after.ts";
import { headersOfEveryAnswer } from "./answer-headers.ts";
import { jobEtag, matchesEtag } from "./core/etag.ts";
import { jobTimeline } from "./core/job-timeline.ts";
import { type HttpContext, originOf } from "./http-env.ts";
import { jsonAnswer, jsonTextAnswer } from "./json-answer.ts";
import { PRIVATE_VARY } from "./negotiated.ts";

const VARY = `${PRIVATE_VARY}, Prefer`;

export function linksFor(c: HttpContext): LinkMaker {
  return createLinks(c.get("config"), originOf(c), Date.now());
}

interface JobAnswerOptions {
  /** Present for the text form: the newest events of the job's log. */
  readonly events?: readonly JobEvent[];
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What makes polling cheap: the job's version, and when it is worth asking again. */
function pollHeaders(etag: string, retryAfter: number | null): Record<string, string> {
  const headers: Record<string, string> = { ETag: etag, Vary: VARY };
  if (retryAfter !== null) headers["Retry-After"] = String(retryAfter);
  return headers;
}

/** A GET of the version that the client has already is a 304. */
function isUnchanged(c: HttpContext, etag: string): boolean {
  const isRead = c.req.method === "GET" || c.req.method === "HEAD";
  return isRead && matchesEtag(c.req.header("if-none-match"), etag);
}

function unchangedAnswer(c: HttpContext, headers: Readonly<Record<string, string>>): Response {
  return new Response(null, { status: 304, headers: { ...headersOfEveryAnswer(c), ...headers } });
}

/** The answer to a poll: the job as its object put it in words. */
export function shownAnswer(c: HttpContext, { tag, epoch, retryAfterSeconds, json }: ShownJob): Response {
  const etag = jobEtag(tag, epoch, "json");
  const headers = pollHeaders(etag, retryAfterSeconds);
  return isUnchanged(c, etag) ? unchangedAnswer(c, headers) : jsonTextAnswer(c, json, 200, headers);
}

/** The job with its version, and when it is worth asking again. */
export function jobAnswer(c: HttpContext, view: JobView, options: JobAnswerOptions = {}): Response {
  const { events, status = 200 } = options;
  const form = events === undefined ? "json" : "text";
  const links = linksFor(c);
  const etag = jobEtag(view.tag, links.epoch, form);
  const nowMs = Date.now();
  const headers = { ...pollHeaders(etag, retryAfterSeconds(view, nowMs)), ...options.headers };
  if (isUnchanged(c, etag)) return unchangedAnswer(c, headers);
  const job = presentJob(view, links);
  if (events === undefined) return jsonAnswer(c, job, status, headers);
  headers["Content-Type"] = "text/plain; charset=utf-8";
  const { authMode, attemptBudgetMs: budgetMs, lateAnswerMs } = c.get("config");
  // The log may have grown since the job was read.
  const told = events.filter(({ seq }) => seq <= job.seq);
  const text = jobTimeline(job, told, { nowMs, budgetMs, lateAnswerMs, withToken: authMode === "token" });
  return new Response(text, { status, headers });
}
