import {
  DarkroomProblem,
  DarkroomUnexpectedAnswer,
  DarkroomUnreachable,
  type ReceivedProblem,
} from "../../client/errors.ts";
import type { DraftField } from "./draft-check.ts";
import { resetWords, usedWords } from "./money-words.ts";
import { countdownWords } from "./time-words.ts";

/** A failed call as the page shows it. */
export interface FailureWords {
  readonly title: string;
  readonly detail: string;
  /** The fields that the server refused, with its reasons; empty where it named none. */
  readonly fields: readonly { readonly path: string; readonly message: string }[];
  /** To be quoted to an operator; null when the server was never reached. */
  readonly requestId: string | null;
}

/** A reference image of a draft is no longer available. The message is a sentence for the person who sends it. */
export class MissingReference extends Error {}

/** Words for the error of a call of the client. */
export function failureWords(error: unknown): FailureWords {
  if (error instanceof DarkroomProblem) {
    const { title, detail, errors, requestId } = error.problem;
    const spent = spentWords(error.problem);
    if (spent !== null) return { title, detail: spent, fields: [], requestId };
    const wait = error.retryAfterMs === null ? "" : ` Try again in ${countdownWords(error.retryAfterMs)}.`;
    return { title, detail: `${detail}${wait}`, fields: errors ?? [], requestId };
  }
  if (error instanceof DarkroomUnreachable) {
    return {
      title: "The server cannot be reached",
      detail: "Check the connection. Pressing again is safe: it makes no second job.",
      fields: [],
      requestId: null,
    };
  }
  if (error instanceof DarkroomUnexpectedAnswer) {
    return { title: "An answer that makes no sense", detail: error.message, fields: [], requestId: null };
  }
  if (error instanceof MissingReference) {
    return { title: "A reference image is missing", detail: error.message, fields: [], requestId: null };
  }
  return { title: "Something went wrong here", detail: String(error), fields: [], requestId: null };
}

/** Why a submission has no room in the spend limit, and what to do; null for other problems. */
function spentWords({ code, currency, limit, charged, reserved, atRisk, resetsAt }: ReceivedProblem): string | null {
  if (code !== "budget_exceeded" || currency === undefined || limit === undefined) return null;
  const used = usedWords({ currency, limit, charged: charged ?? 0, reserved: reserved ?? 0, atRisk: atRisk ?? 0 });
  const reset = resetsAt === undefined ? "" : ` It starts again on ${resetWords(resetsAt)} (UTC).`;
  return `${used}.${reset} Until then: ask for fewer images or a cheaper model, cancel jobs that wait, or have the operator raise the limit.`;
}

/** Whether the call failed because nobody is signed in. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof DarkroomProblem && error.code === "unauthorized";
}

/** Whether the call failed because the server lacks its configuration. */
export function isMisconfigured(error: unknown): boolean {
  return error instanceof DarkroomProblem && error.code === "misconfigured";
}

const FIELDS: readonly DraftField[] = [
  "client",
  "prompt",
  "negativePrompt",
  "size",
  "n",
  "seed",
  "images",
  "maxAttempts",
  "deadlineSeconds",
];

/** The field of the form that a JSON Pointer of the request belongs to; null for one that the form does not show. */
export function fieldOfPath(path: string): DraftField | null {
  const first = path.split("/")[1] ?? path;
  return FIELDS.find((field) => field === first) ?? null;
}
