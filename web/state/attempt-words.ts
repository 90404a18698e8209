import type { Attempt } from "../../schemas/job.ts";
import type { Tone } from "./standing.ts";
import { durationWords } from "./time-words.ts";

/** An attempt as the timeline tells it. */
export interface AttemptStory {
  readonly tone: Tone;
  readonly title: string;
  /** What matters beside: money, counting, a call that is still open. Full sentences. */
  readonly notes: readonly string[];
}

/** What became of an attempt, in words. */
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
