/** Reads what upstream answered: status, headers and text in, a verdict out. Pure. */
import type { UpstreamReport } from "../../schemas/job.ts";
import { classify, type UpstreamProblem } from "./classify.ts";
import type { UpstreamAnswer } from "./contract.ts";
import type { HintContext } from "./failure-rules.ts";
import { DecisiveAnswer } from "./wire.ts";

/** An answer as it came over HTTP. */
export interface HttpAnswer {
  readonly httpStatus: number;
  /** From the header; the body's own wins. */
  readonly requestId: string | null;
  readonly retryAfterMs: number | null;
  /** Null: larger than any answer can be, and not read to its end. */
  readonly text: string | null;
}

/** How the reader makes words of upstream's fit to be stored: no secret in them, not too long. */
export type Tidy = (text: string, maxChars: number) => string;

/** Upstream's words are shown to people; what is longer says nothing more. */
const MAX_MESSAGE_CHARS = 500;
/** Codes and ids are far shorter; a longer one is not one. */
const MAX_WORD_CHARS = 200;
/** Of a gateway's page, enough to recognise it. */
const MAX_PAGE_CHARS = 200;

/**
 * The meaning of an answer to `generate` (`taskId` null) or to `readTask` (the task asked for). Whatever is not about the
 * task itself leaves a task `unreadable`: each task's fate, unknown included, is told with status 200.
 */
export function readAnswer(
  answer: HttpAnswer,
  taskId: string | null,
  tidy: Tidy,
  context: HintContext,
): UpstreamAnswer {
  const { httpStatus } = answer;
  const json = parseJson(answer.text);
  const parsed = DecisiveAnswer.safeParse(json);
  const body = parsed.success ? parsed.data : null;
  const word = (text: string | null | undefined) =>
    text === undefined || text === null || text === "" ? null : tidy(text, MAX_WORD_CHARS);
  const report: UpstreamReport = {
    httpStatus,
    code: word(body?.code),
    message: messageOf(body, answer.text, tidy),
    requestId: word(body?.request_id) ?? word(answer.requestId),
    taskId: taskId ?? word(body?.output?.task_id),
  };
  const fail = (problem: UpstreamProblem, told: UpstreamReport = report) =>
    classify(problem, told, answer.retryAfterMs, context);
  const unanswered = (problem: UpstreamProblem): UpstreamAnswer =>
    taskId === null
      ? { kind: "failed", failure: fail(problem) }
      : { kind: "unreadable", failure: { ...fail(problem), mayBeBilled: true } };

  if (httpStatus >= 300 && httpStatus < 400) return unanswered({ kind: "redirected" });
  if (httpStatus < 200 || httpStatus >= 400 || report.code !== null) return unanswered({ kind: "refused" });
  if (answer.text === null) return unanswered({ kind: "too_large" });
  if (body === null) return unanswered({ kind: "bad_body" });

  const output = body.output ?? null;
  const status = output?.task_status ?? null;
  switch (status) {
    case "FAILED":
      return { kind: "failed", failure: fail({ kind: "refused" }, withWords(report, output, tidy)) };
    case "CANCELED":
      return { kind: "task_canceled", failure: fail({ kind: "task_canceled" }) };
    case "UNKNOWN":
      return { kind: "task_lost", failure: fail({ kind: "task_unknown" }) };
    case "SUCCEEDED":
      return delivery(output, report, tidy, fail) ?? { kind: "failed", failure: fail({ kind: "no_image" }) };
    case null: {
      const delivered = delivery(output, report, tidy, fail);
      if (delivered !== null) return delivered;
      if (taskId !== null) return unanswered({ kind: "bad_body" });
      if (report.taskId !== null) return { kind: "accepted", taskId: report.taskId, report };
      return unanswered({ kind: "no_image" });
    }
    default:
      // A status that is not known is taken for one of waiting: giving up a living task would pay for a second.
      if (taskId !== null) return { kind: "pending", taskStatus: status === "PENDING" ? status : "RUNNING", report };
      if (report.taskId !== null) return { kind: "accepted", taskId: report.taskId, report };
      return unanswered({ kind: "bad_body" });
  }
}

/** Whether an answer with nothing to read in it (a cancellation's) says that it was done. */
export function isPlainSuccess(httpStatus: number, text: string | null): boolean {
  const parsed = DecisiveAnswer.safeParse(parseJson(text));
  return httpStatus === 200 && parsed.success && (parsed.data.code ?? "") === "";
}

type Output = NonNullable<DecisiveAnswer["output"]> | null;
type Fail = (problem: UpstreamProblem, told?: UpstreamReport) => ReturnType<typeof classify>;

/** The images, or why each was refused; null where there is neither. */
function delivery(output: Output, report: UpstreamReport, tidy: Tidy, fail: Fail): UpstreamAnswer | null {
  const links = linksOf(output).map((link) => tidy(link, Number.POSITIVE_INFINITY));
  const refusal = output?.results?.find((result) => (result?.code ?? "") !== "") ?? null;
  // Some of several images may have been refused: the rest is delivered, and the report says why there are fewer.
  const told = refusal === null ? report : withWords(report, refusal, tidy);
  if (links.length > 0) return { kind: "delivered", links, report: told };
  if (refusal !== null) return { kind: "failed", failure: fail({ kind: "refused" }, told) };
  return null;
}

/** Every image of every choice and result, in order, each once. */
function linksOf(output: Output): string[] {
  const links = new Set<string>();
  for (const choice of output?.choices ?? []) {
    for (const part of choice?.message?.content ?? []) if (part?.image) links.add(part.image);
  }
  for (const result of output?.results ?? []) if (result?.url) links.add(result.url);
  return [...links];
}

function withWords(
  report: UpstreamReport,
  words: { code?: string | null | undefined; message?: string | null | undefined } | null,
  tidy: Tidy,
): UpstreamReport {
  return {
    ...report,
    code: words?.code ? tidy(words.code, MAX_WORD_CHARS) : report.code,
    message: words?.message ? tidy(words.message, MAX_MESSAGE_CHARS) : report.message,
  };
}

/** The body's message; of a body that is not the wire's, its first words without markup. */
function messageOf(body: DecisiveAnswer | null, text: string | null, tidy: Tidy): string | null {
  if (body?.message) return tidy(body.message, MAX_MESSAGE_CHARS);
  if (body !== null || text === null) return null;
  // Tidied before it is cut, lest half a secret slip through.
  const words = tidy(text, 20 * MAX_PAGE_CHARS).replace(/<[^>]*>/g, " ");
  const line = words.replace(/\s+/g, " ").trim();
  return line === "" ? null : tidy(line, MAX_PAGE_CHARS);
}

function parseJson(text: string | null): unknown {
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
