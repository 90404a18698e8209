/** Judges a crash run by the API's answers and upstream's ledger. Pure. */
import type { JobEvent } from "../../schemas/event.ts";
import type { Attempt, Job } from "../../schemas/job.ts";
import type { Usage } from "../../schemas/usage.ts";
import type { JobEvidence, UpstreamEvidence } from "./evidence.ts";

export type FindingKind =
  | "lost"
  | "stuck"
  | "finished twice"
  | "log broken"
  | "paid again"
  | "wrong bytes"
  | "wrong bill"
  | "wrong end";

/** A broken promise, with enough detail to look it up. */
export interface Finding {
  readonly kind: FindingKind;
  readonly id: string;
  readonly detail: string;
}

const FINAL = new Set(["job.succeeded", "job.failed", "job.canceled"]);

/** Whether the event starts an attempt that submits to upstream; one that resumes a task does not. */
const isFresh = (event: JobEvent): boolean =>
  event.type === "attempt.started" && !(event.data.reason ?? "").startsWith("resumes");

/** All broken promises of this job. */
export function judgeJob(evidence: JobEvidence, upstream: UpstreamEvidence): Finding[] {
  const { id, planned, job, deletedAtMs, httpStatus, listedAs } = evidence;
  const findings: Finding[] = [];
  const find = (kind: FindingKind, detail: string) => findings.push({ kind, id, detail });
  if (deletedAtMs !== null) {
    if (httpStatus !== 410) find("wrong end", `deleted, and still answers ${httpStatus}`);
    if (listedAs.length > 0) find("wrong end", "deleted, and still listed");
    for (const detail of calledAfterDeletion(deletedAtMs, evidence, upstream)) find("paid again", detail);
    return findings;
  }
  if (job === null) {
    find("lost", `answers ${httpStatus}`);
    return findings;
  }
  if (listedAs.length !== 1) find(listedAs.length === 0 ? "lost" : "finished twice", `listed ${listedAs.length} times`);
  else if (listedAs[0] !== job.status) find("wrong end", `is ${job.status}, and listed as ${listedAs[0]}`);
  if (!job.done) find("stuck", `${job.status} since ${job.updatedAt}`);
  if (!endsRight(job, planned.deed)) find("wrong end", `${job.status}: ${job.error?.message ?? "no error"}`);
  for (const detail of brokenLog(job, evidence.events)) find("log broken", detail);
  for (const detail of finishedTwice(evidence.events)) find("finished twice", detail);
  for (const detail of paidAgain(job, evidence.events, upstream)) find("paid again", detail);
  for (const detail of wrongBytes(evidence, upstream)) find("wrong bytes", detail);
  for (const detail of wrongBill(job, upstream)) find("wrong bill", detail);
  return findings;
}

/**
 * A call that was under way when the deletion was answered may reach upstream after the answer. It belongs to an attempt that
 * was logged before the deletion; any other late call is a fault.
 */
function calledAfterDeletion(deletedAtMs: number, { logged }: JobEvidence, { submits }: UpstreamEvidence): string[] {
  const found: string[] = [];
  if (logged.startsAfter > 0) found.push(`${logged.startsAfter} attempts began after its deletion`);
  const late = submits.filter((call) => call.atMs > deletedAtMs);
  if (late.length > 0 && submits.length > logged.startsBefore) {
    const lateByMs = late.map((call) => call.atMs - deletedAtMs);
    found.push(
      `${submits.length} calls for ${logged.startsBefore} attempts before its deletion; after the answer by ms: ${lateByMs}`,
    );
  }
  return found;
}

function endsRight(job: Job, deed: string): boolean {
  switch (job.status) {
    case "succeeded":
      return true;
    case "canceled":
      return deed === "cancel" || deed === "cancel and retry";
    case "failed": {
      // A job whose attempts were all used up by kills may fail; upstream causes no other failure here.
      const counted = job.attempts.filter((attempt) => attempt.counted).length;
      return job.error?.code === "attempts_exhausted" && counted >= job.request.maxAttempts;
    }
    default:
      return true;
  }
}

function brokenLog(job: Job, events: readonly JobEvent[]): string[] {
  const broken = events.find((event, index) => event.seq !== index + 1);
  if (broken !== undefined) return [`seq ${broken.seq} is out of order`];
  return events.at(-1)?.seq === job.seq ? [] : [`the log ends at ${events.at(-1)?.seq}, the job is at ${job.seq}`];
}

function finishedTwice(events: readonly JobEvent[]): string[] {
  const found: string[] = [];
  let ended: JobEvent | null = null;
  for (const event of events) {
    if (event.type === "job.retried") ended = null;
    else if (ended !== null) found.push(`${event.type} (${event.seq}) after ${ended.type} (${ended.seq})`);
    if (FINAL.has(event.type)) ended = event;
  }
  return found;
}

/**
 * Whether an image was made again although its links, or its task, were stored. Every call is recorded before it is made, so:
 * (1) upstream saw no more submissions than fresh attempts, (2) no fresh attempt starts after `job.storing` (the links are
 * stored then) unless the links ended, (3) none starts after an attempt whose task id is stored and whose task made images.
 * An attempt with `mayBeBilled` covers each bill beyond the delivery.
 */
function paidAgain(job: Job, events: readonly JobEvent[], upstream: UpstreamEvidence): string[] {
  const found: string[] = [];
  const fresh = events.filter(isFresh);
  if (upstream.submits.length > fresh.length) {
    found.push(`${upstream.submits.length} submissions for ${fresh.length} attempts`);
  }
  const storing = events.find((event) => event.type === "job.storing");
  const lost = events.findLast((event) => event.data.error?.code === "result_lost");
  for (const event of fresh) {
    if (storing === undefined || event.seq < storing.seq || (lost !== undefined && lost.seq < event.seq)) continue;
    found.push(`attempt ${event.data.attempt} (${event.seq}) began after the links were stored (${storing.seq})`);
  }
  for (const attempt of job.attempts) {
    const { taskId } = attempt.upstream;
    if (taskId === null || !upstream.images.some((image) => image.taskId === taskId)) continue;
    const knownBy = taskKnownSeq(events, attempt);
    const again = knownBy === null ? undefined : fresh.find((event) => event.seq > knownBy);
    if (again !== undefined) found.push(`attempt ${again.data.attempt} began although task ${taskId} was stored`);
  }
  const calls = new Set(upstream.images.map((image) => image.callId)).size;
  const delivered = job.attempts.filter((attempt) => isDelivery(attempt)).length;
  const uncertain = job.attempts.filter((attempt) => attempt.mayBeBilled && !isDelivery(attempt)).length;
  if (delivered > 1 && lost === undefined) found.push(`${delivered} attempts delivered`);
  if (calls > delivered + uncertain) {
    found.push(`${calls} calls were billed, ${delivered + uncertain} attempts say that they may have been`);
  }
  return found;
}

const isDelivery = ({ outcome }: Attempt): boolean => outcome === "succeeded" || outcome === "succeeded_late";

/** The `seq` of the event that shows the attempt's task; null when no event shows it. */
function taskKnownSeq(events: readonly JobEvent[], attempt: Attempt): number | null {
  const ended = events.find((event) => event.type === "attempt.finished" && event.data.attempt === attempt.number);
  if (ended === undefined) return null;
  // An attempt that its budget ended without a task: the task was accepted, and stored, later.
  return ended.data.upstream?.taskId == null ? null : ended.seq;
}

function wrongBytes({ job, images }: JobEvidence, upstream: UpstreamEvidence): string[] {
  const made = new Set(upstream.images.map((image) => image.sha256));
  const shown = job?.output?.images ?? [];
  if (job?.status === "succeeded" && shown.length === 0) return ["succeeded without an image"];
  return shown.flatMap(({ index, sha256 }) => {
    const fetched = images.find((image) => image.index === index)?.sha256 ?? null;
    if (fetched !== sha256) return [`image ${index} hashes to ${fetched}, the job says ${sha256}`];
    return made.has(sha256) ? [] : [`image ${index} is none that upstream made for this job`];
  });
}

/** An amount in millionths: amounts have 6 decimals at most, and their sums are compared as integers. */
const micros = (amount: number): number => Math.round(amount * 1_000_000);

/** Whether upstream's bill lies within [charged, charged + atRisk]. */
function isWithin(billed: number, charged: number, atRisk: number): boolean {
  return micros(billed) >= micros(charged) && micros(billed) <= micros(charged) + micros(atRisk);
}

/** Upstream's bill for the job, at the job's own price per image. */
function billedFor({ cost, request }: Job, { images }: UpstreamEvidence): number {
  return images.length * ((cost?.estimated ?? 0) / request.n);
}

function wrongBill(job: Job, upstream: UpstreamEvidence): string[] {
  if (job.cost === null) return ["has no cost"];
  const { charged, atRisk } = job.cost;
  const billed = billedFor(job, upstream);
  return isWithin(billed, charged, atRisk) ? [] : [`upstream billed ${billed}, charged ${charged}, at risk ${atRisk}`];
}

/** What is wrong with the client's books after all jobs have ended. `billed`: upstream's own sum, deleted jobs included. */
export function judgeBooks({ buckets, budget }: Usage, billed: number): Finding[] {
  const find = (detail: string): Finding => ({ kind: "wrong bill", id: "the client's books", detail });
  const results = buckets.flatMap((bucket) => bucket.results);
  const charged = results.reduce((sum, result) => sum + result.charged, 0);
  const atRisk = results.reduce((sum, result) => sum + result.atRisk, 0);
  const findings: Finding[] = [];
  if (!isWithin(billed, charged, atRisk)) {
    findings.push(find(`upstream billed ${billed}, charged ${charged}, at risk ${atRisk}`));
  }
  if (budget === null) return [...findings, find("there is no limit")];
  const { limit, reserved } = budget;
  if (reserved !== 0) findings.push(find(`${reserved} is reserved, and every job is over`));
  const used = micros(budget.charged) + micros(reserved) + micros(budget.atRisk);
  if (used > micros(limit)) findings.push(find(`${used} millionths are used of a limit of ${limit}`));
  return findings;
}

/** Counts that show how hard the run was. */
export interface CrashFigures {
  readonly jobs: number;
  readonly ended: Readonly<Record<string, number>>;
  readonly attempts: number;
  readonly interrupted: number;
  readonly lateAnswers: number;
  readonly resumedTasks: number;
  /** Jobs whose links were stored at a kill and whose images were not; a job counts once for each kill. */
  readonly storingAtKills: number;
  /** Jobs whose task was known at a kill; a job counts once for each kill. */
  readonly tasksAtKills: number;
  readonly submissions: number;
  readonly billedCalls: number;
  /** Billed images that no job has: the answer was lost with a process or a connection, which no client can avoid. */
  readonly billedUnseen: number;
  readonly images: number;
  /** In millionths: upstream's bill for jobs that were not deleted, and the cost that these jobs show. */
  readonly money: { readonly billed: number; readonly charged: number; readonly atRisk: number };
  readonly findings: Readonly<Record<FindingKind, number>>;
}

export function figuresOf(
  all: readonly (readonly [JobEvidence, UpstreamEvidence])[],
  findings: readonly Finding[],
  killedAtMs: readonly number[],
): CrashFigures {
  const attempts = all.flatMap(([{ job }]) => job?.attempts ?? []);
  const events = all.flatMap(([evidence]) => evidence.events);
  const ended: Record<string, number> = {};
  for (const [{ job, deletedAtMs }] of all) {
    const how = deletedAtMs !== null ? "deleted" : (job?.status ?? "lost");
    ended[how] = (ended[how] ?? 0) + 1;
  }
  const kept = all.filter(([{ deletedAtMs }]) => deletedAtMs === null);
  const calls = kept.map(([, { images }]) => new Set(images.map((image) => image.callId)).size);
  const billedCalls = calls.reduce((sum, count) => sum + count, 0);
  const delivered = attempts.filter(isDelivery).length;
  const count = (kind: FindingKind) => findings.filter((finding) => finding.kind === kind).length;
  return {
    jobs: all.length,
    ended,
    attempts: attempts.length,
    interrupted: attempts.filter(({ outcome }) => outcome === "interrupted").length,
    lateAnswers: attempts.filter(({ outcome }) => outcome === "succeeded_late").length,
    resumedTasks: events.filter((event) => event.type === "attempt.started" && !isFresh(event)).length,
    storingAtKills: all.reduce((sum, [{ events: log }]) => sum + killsWithin(storingSpans(log), killedAtMs), 0),
    tasksAtKills: killsWithin(
      attempts
        .filter(({ upstream }) => upstream.taskId !== null)
        .map(({ startedAt, finishedAt }) => [Date.parse(startedAt), Date.parse(finishedAt ?? "")] as const),
      killedAtMs,
    ),
    submissions: all.reduce((sum, [, { submits }]) => sum + submits.length, 0),
    billedCalls,
    billedUnseen: billedCalls - delivered,
    images: all.reduce((sum, [{ images }]) => sum + images.length, 0),
    money: moneyOf(kept),
    findings: {
      lost: count("lost"),
      stuck: count("stuck"),
      "finished twice": count("finished twice"),
      "log broken": count("log broken"),
      "paid again": count("paid again"),
      "wrong bytes": count("wrong bytes"),
      "wrong bill": count("wrong bill"),
      "wrong end": count("wrong end"),
    },
  };
}

function moneyOf(all: readonly (readonly [JobEvidence, UpstreamEvidence])[]): CrashFigures["money"] {
  const sum = (amounts: readonly number[]) => amounts.reduce((total, amount) => total + micros(amount), 0);
  return {
    billed: sum(all.map(([{ job }, upstream]) => (job === null ? 0 : billedFor(job, upstream)))),
    charged: sum(all.map(([{ job }]) => job?.cost?.charged ?? 0)),
    atRisk: sum(all.map(([{ job }]) => job?.cost?.atRisk ?? 0)),
  };
}

type Span = readonly [fromMs: number, toMs: number];

function killsWithin(spans: readonly Span[], killedAtMs: readonly number[]): number {
  const within = ([fromMs, toMs]: Span) => killedAtMs.filter((atMs) => fromMs < atMs && atMs < toMs).length;
  return spans.reduce((sum, span) => sum + within(span), 0);
}

/** The spans from each `job.storing` to the next event. */
function storingSpans(events: readonly JobEvent[]): Span[] {
  return events.flatMap((event, index): Span[] => {
    const next = events[index + 1];
    return event.type === "job.storing" && next !== undefined ? [[Date.parse(event.at), Date.parse(next.at)]] : [];
  });
}
