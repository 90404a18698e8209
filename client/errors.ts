import { z } from "zod";
import { paths } from "../schemas/paths.ts";
import { Problem, type ProblemCode } from "../schemas/problem.ts";
import { LASTING_CODES } from "./retry.ts";

/** Which call failed. Every error of this client carries it. */
export interface CallFacts {
  readonly method: string;
  readonly url: string;
  readonly jobId: string | null;
  /** Pass it to `submit` again to repeat the same submission without making a second job. */
  readonly idempotencyKey: string | null;
}

/** A newer server may send codes that this client does not know. */
const AnyProblem = Problem.extend({ code: z.string() });

/** A problem from the server. Its code may be newer than this client. */
export type ReceivedProblem = Omit<Problem, "code"> & { readonly code: ProblemCode | (string & {}) };

/** The server refused the call and gave the reason (RFC 9457). Decide on `code`; `message` is for people. */
export class DarkroomProblem extends Error {
  override readonly name = "DarkroomProblem";
  readonly problem: ReceivedProblem;
  readonly status: number;
  readonly code: ReceivedProblem["code"];
  /** How long the server asks to wait before another try, in ms; `null` when it did not say. */
  readonly retryAfterMs: number | null;
  readonly call: CallFacts;

  constructor(problem: ReceivedProblem, retryAfterMs: number | null, call: CallFacts) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
    this.status = problem.status;
    this.code = problem.code;
    this.retryAfterMs = retryAfterMs;
    this.call = call;
  }
}

/** No answer came after all tries: the network failed or the time ran out. A submission may have been accepted. */
export class DarkroomUnreachable extends Error {
  override readonly name = "DarkroomUnreachable";
  readonly call: CallFacts;

  constructor(reason: string, call: CallFacts, cause: unknown) {
    super(`${call.method} ${call.url}: ${reason}`, { cause });
    this.call = call;
  }
}

/**
 * The browser withholds the answers (CORS): the server's `ALLOWED_ORIGINS` does not list the page's origin, its settings are wrong
 * and it allows no origin, or a proxy in front of it answers with an error page, which a script cannot distinguish.
 */
export class DarkroomForbiddenOrigin extends Error {
  override readonly name = "DarkroomForbiddenOrigin";
  readonly origin: string;
  readonly call: CallFacts;

  constructor(origin: string, call: CallFacts, cause: unknown) {
    const { origin: server } = new URL(call.url);
    const reason = `CORS: an answer came, but the browser lets no page of ${origin} read it. Open ${server}${paths.health}. If its status is "ok" or "degraded", set ALLOWED_ORIGINS="${origin}" on the server and deploy (origins are separated by commas). If it is "misconfigured", no origin is allowed until the problems are mended. If another error page comes, a proxy in front of the server answers in its place: try again later`;
    super(`${call.method} ${call.url}: ${reason}`, { cause });
    this.origin = origin;
    this.call = call;
  }
}

/** The answer is not Darkroom's: it comes from a proxy, or from another server. */
export class DarkroomUnexpectedAnswer extends Error {
  override readonly name = "DarkroomUnexpectedAnswer";
  readonly status: number;
  readonly call: CallFacts;
  /** How long the answer asks to wait before another try, in ms; `null` when it did not say. */
  readonly retryAfterMs: number | null;

  constructor(status: number, reason: string, call: CallFacts, retryAfterMs: number | null = null) {
    super(`${call.method} ${call.url} answered ${status}: ${reason}`);
    this.status = status;
    this.call = call;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The problem in an answer's body; `null` when the body is not a problem. */
export function parseProblem(body: unknown): ReceivedProblem | null {
  const parsed = AnyProblem.safeParse(body);
  if (!parsed.success) return null;
  const { errors, ...rest } = parsed.data;
  return errors === undefined ? rest : { ...rest, errors };
}

/**
 * The problem behind an error of any kind: of a `DarkroomProblem` from this client, or of the error that a call over a service
 * binding rejects with, which is not an instance of any class here. `null` when the error has another cause.
 */
export function problemOf(error: unknown): ReceivedProblem | null {
  return error instanceof Error && "problem" in error ? parseProblem(error.problem) : null;
}

/**
 * Whether the same call may succeed later: there was no answer, or the server failed. False when it refused the call, and when
 * only an operator can mend the server.
 */
export function isTransient(error: unknown): boolean {
  if (error instanceof DarkroomUnreachable) return true;
  if (error instanceof DarkroomUnexpectedAnswer) return error.status >= 500;
  if (!(error instanceof DarkroomProblem) || LASTING_CODES.includes(error.code)) return false;
  return error.status >= 500 || error.status === 429;
}

/** How long the server, or a proxy in front of it, asked to wait after the failed call, in ms; null when neither did. */
export function askedWaitMs(error: unknown): number | null {
  return error instanceof DarkroomProblem || error instanceof DarkroomUnexpectedAnswer ? error.retryAfterMs : null;
}
