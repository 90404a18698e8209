import { z } from "zod";
import { Problem, type ProblemCode } from "../schemas/problem.ts";

/** What a call was about, as far as it is known; every error of this client carries it. */
export interface CallFacts {
  readonly method: string;
  readonly url: string;
  readonly jobId: string | null;
  /** Give it to `submit` again to go on with the same submission safely. */
  readonly idempotencyKey: string | null;
}

/** A newer server may know codes that this client does not. */
const AnyProblem = Problem.extend({ code: z.string() });

/** A problem as it came: its code may be newer than this client. */
export type ReceivedProblem = Omit<Problem, "code"> & { readonly code: ProblemCode | (string & {}) };

/** The server refused, and said why (RFC 9457). Decide on `code`; `message` is for people. */
export class DarkroomProblem extends Error {
  override readonly name = "DarkroomProblem";
  readonly problem: ReceivedProblem;
  readonly status: number;
  readonly code: ReceivedProblem["code"];
  /** What the server asked to wait before another try, in ms; `null` when it did not say. */
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

/** No answer came: the network failed or the time ran out, after all tries. A submission may or may not have been taken. */
export class DarkroomUnreachable extends Error {
  override readonly name = "DarkroomUnreachable";
  readonly call: CallFacts;

  constructor(reason: string, call: CallFacts, cause: unknown) {
    super(`${call.method} ${call.url}: ${reason}`, { cause });
    this.call = call;
  }
}

/**
 * The browser keeps the answers from this page: the server is there, and does not list the page's origin in `ALLOWED_ORIGINS`.
 * No repetition helps.
 */
export class DarkroomForbiddenOrigin extends Error {
  override readonly name = "DarkroomForbiddenOrigin";
  readonly origin: string;
  readonly call: CallFacts;

  constructor(origin: string, call: CallFacts, cause: unknown) {
    super(
      `${call.method} ${call.url}: the server answers, but not to pages of ${origin}; ALLOWED_ORIGINS must list it`,
      {
        cause,
      },
    );
    this.origin = origin;
    this.call = call;
  }
}

/** An answer came that this client does not understand: a proxy's page, or a server that is no Darkroom. */
export class DarkroomUnexpectedAnswer extends Error {
  override readonly name = "DarkroomUnexpectedAnswer";
  readonly status: number;
  readonly call: CallFacts;

  constructor(status: number, reason: string, call: CallFacts) {
    super(`${call.method} ${call.url} answered ${status}: ${reason}`);
    this.status = status;
    this.call = call;
  }
}

/** The problem in an answer's body; `null` when it holds none. */
export function parseProblem(body: unknown): ReceivedProblem | null {
  const parsed = AnyProblem.safeParse(body);
  if (!parsed.success) return null;
  const { errors, ...rest } = parsed.data;
  return errors === undefined ? rest : { ...rest, errors };
}

/** Whether asking again later may help: no answer, or a failure on the server's side. False for a refusal of this request. */
export function isPassing(error: unknown): boolean {
  if (error instanceof DarkroomUnreachable) return true;
  if (error instanceof DarkroomUnexpectedAnswer) return error.status >= 500;
  if (error instanceof DarkroomProblem) return error.status >= 500 || error.status === 429;
  return false;
}
