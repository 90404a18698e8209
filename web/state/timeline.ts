import type { JobEvent } from "../../schemas/event.ts";
import type { Attempt, Job } from "../../schemas/job.ts";
import { asSentence } from "./sentence.ts";
import type { Tone } from "./standing.ts";
import { durationWords } from "./time-words.ts";

/** What happened to a job between its submission and its end. `at` is an ISO time. */
export type TimelineStep =
  | { readonly kind: "attempt"; readonly at: string; readonly attempt: Attempt; readonly story: AttemptStory }
  | { readonly kind: "copying"; readonly at: string; readonly title: string; readonly notes: readonly string[] }
  | { readonly kind: "retried"; readonly at: string };

/**
 * The steps in order: the attempts of the job, and what only its log holds: why an attempt ended, the copying of
 * the images, a retry by hand. Without a log only the attempts.
 */
export function timelineSteps(job: Pick<Job, "attempts">, log: readonly JobEvent[]): TimelineStep[] {
  const attempts = job.attempts.map((attempt): TimelineStep => {
    const story = attemptStory(attempt);
    const notes = [...resumeNotes(attempt, job.attempts), ...logNotes(attempt, log), ...story.notes];
    return { kind: "attempt", at: attempt.startedAt, attempt, story: { ...story, notes } };
  });
  const retried = log
    .filter(({ type }) => type === "job.retried")
    .map(({ at }): TimelineStep => ({ kind: "retried", at }));
  // Steps of the same moment stay in this order: an attempt delivers before its images are copied.
  return [...attempts, ...retried, ...copying(log)].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

function resumeNotes({ number, upstream: { taskId } }: Attempt, attempts: readonly Attempt[]): string[] {
  const earlier = attempts.find(
    (known) => known.number < number && taskId !== null && known.upstream.taskId === taskId,
  );
  return earlier === undefined
    ? []
    : [`Goes on with the task of attempt ${earlier.number}: nothing new was asked for, so nothing is paid for twice.`];
}

/** Outcomes whose title, with upstream's own words, says why the attempt ended. */
const SELF_EXPLAINING: readonly Attempt["outcome"][] = ["throttled", "blocked"];

/** Why the attempt ended, where neither its title nor upstream's own words say so. */
function logNotes({ number, outcome }: Attempt, log: readonly JobEvent[]): string[] {
  const notes: string[] = [];
  for (const { type, data } of log) {
    const { reason } = data;
    if (data.attempt !== number || reason === undefined) continue;
    const tells =
      (type === "job.retrying" && !SELF_EXPLAINING.includes(outcome)) ||
      (type === "attempt.finished" && outcome === "canceled") ||
      type === "attempt.late";
    if (tells) notes.push(asSentence(reason));
  }
  return [...new Set(notes)];
}

/** One step for each delivery, however often its images had to be fetched. */
function copying(log: readonly JobEvent[]): TimelineStep[] {
  const steps: TimelineStep[] = [];
  let deliveries: JobEvent[][] = [];
  for (const event of log) {
    if (event.type !== "job.storing") continue;
    // An event with `retryAt` is a failed copy of the delivery before it.
    if (event.data.retryAt === undefined || deliveries.length === 0) deliveries = [...deliveries, [event]];
    else deliveries.at(-1)?.push(event);
  }
  for (const [begun, ...failures] of deliveries) {
    if (begun === undefined) continue;
    const { images, reason } = begun.data;
    const count = images === undefined ? "the images" : images === 1 ? "1 image" : `${images} images`;
    const why = failures.at(-1)?.data.reason ?? "no reason known";
    const failed = failures.length === 1 ? "One copy failed" : `${failures.length} copies failed, the last`;
    steps.push({
      kind: "copying",
      at: begun.at,
      title: `Delivered: copying ${count}`,
      notes: [
        ...(reason === undefined ? [] : [asSentence(reason)]),
        ...(failures.length === 0 ? [] : [asSentence(`${failed}: ${why}`)]),
      ],
    });
  }
  return steps;
}

/** An attempt as the timeline shows it. */
export interface AttemptStory {
  readonly tone: Tone;
  readonly title: string;
  /** Full sentences about money, counting, or a call that is still open. */
  readonly notes: readonly string[];
}

/** The outcome of an attempt, in words. */
export function attemptStory(attempt: Attempt): AttemptStory {
  const took = attempt.durationMs === null ? "" : ` after ${durationWords(attempt.durationMs)}`;
  return { ...outcomeStory(attempt, took), notes: notesOf(attempt) };
}

function outcomeStory(attempt: Attempt, took: string): Pick<AttemptStory, "tone" | "title"> {
  switch (attempt.outcome) {
    case null:
      return { tone: "running", title: "Running" };
    case "succeeded":
      return { tone: "ready", title: `Delivered${took}` };
    case "succeeded_late":
      return { tone: "ready", title: `Delivered late${took}` };
    case "failed":
      return { tone: "failed", title: `Failed${took}` };
    case "throttled":
      return { tone: "retrying", title: `Throttled by upstream${took}` };
    case "blocked":
      return { tone: "blocked", title: `Refused${took}: the account cannot do this now` };
    case "timed_out":
      return { tone: "retrying", title: `No answer within the budget${took}` };
    case "interrupted":
      return { tone: "retrying", title: `Interrupted${took}` };
    case "canceled":
      return { tone: "canceled", title: `Called off${took}` };
  }
}

function notesOf(attempt: Attempt): string[] {
  const notes: string[] = [];
  if (attempt.stillOpen) notes.push("The call is still open: if its answer comes, it is taken.");
  if (attempt.outcome !== null && !attempt.counted) notes.push("Does not count as an attempt.");
  const paid = attempt.outcome === "succeeded" || attempt.outcome === "succeeded_late";
  if (attempt.mayBeBilled && !paid) notes.push("Upstream may have made, and charged, an image.");
  return notes;
}
