import { PROBLEMS, Problem } from "../../schemas/problem.ts";
import type { Answer, NoHttp } from "./attack.ts";
import type { Operation } from "./operation-attacks.ts";

/** Where a request was sent: to wrangler's proxy, or to the Worker's own process behind it. */
export type Door = "proxy" | "worker";

/** The request of an answer. */
export interface Asked {
  readonly method: string;
  /** Under `/api/`: our code answers. Beside it the platform serves the page's files. */
  readonly isApi: boolean;
  readonly noHttp: NoHttp;
  readonly operation: Operation | null;
  readonly door: Door;
}

/** The runtime refuses a longer address before our code runs: its limit is 64 KB. */
export const RUNTIME_ADDRESS_CHARS = 60_000;

/** Whether our code gave the answer: only our code sets this header. */
export function isOurs(answer: Answer): boolean {
  return answer.headers["x-request-id"] !== undefined;
}

/**
 * The 5xx that the runtime, or wrangler around it, gives before our code runs, for bytes that are not HTTP. Each was examined:
 * the bytes never reach the Worker. Only the proxy answers `Network connection lost`; at the Worker's own port our code
 * answers the same bytes with 400.
 */
const RUNTIME_FAILURES: readonly {
  readonly noHttp: readonly NoHttp[];
  readonly door: Door | null;
  readonly status: number;
  readonly body: RegExp;
}[] = [
  { noHttp: ["method", "head"], door: null, status: 501, body: /^ERROR: Unrecognized request method\.$/ },
  { noHttp: ["method", "host", "head"], door: null, status: 500, body: /^Internal Server Error$/ },
  { noHttp: ["host", "head"], door: null, status: 500, body: /^TypeError: Fetch API cannot load: / },
  { noHttp: ["framing", "head"], door: "proxy", status: 500, body: /^Error: Network connection lost\.(\n {4}at .*)*$/ },
];

/** What is wrong with one of our own problem answers; null when it follows the contract. */
function problemFinding(answer: Answer, method: string): string | null {
  if (method === "HEAD") return null;
  if (answer.headers["content-type"] !== "application/problem+json")
    return `a ${answer.status} that is ${answer.headers["content-type"]}`;
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(answer.body));
  } catch {
    return `a ${answer.status} whose body is no JSON`;
  }
  const read = Problem.safeParse(body);
  if (!read.success) return `a ${answer.status} that is no problem: ${read.error.message}`;
  const { status, requestId, code, title, type } = read.data;
  if (status !== answer.status) return `a ${answer.status} whose problem says ${status}`;
  if (requestId !== answer.headers["x-request-id"]) return "a problem with another request id than its answer";
  const [knownStatus, knownTitle] = PROBLEMS[code];
  if (status !== knownStatus || title !== knownTitle) return `a ${code} that is ${status} ${title}`;
  return type.endsWith(`/api/docs#problem-${code}`) ? null : `a ${code} of the type ${type}`;
}

/** What is wrong with an answer of the platform; null when nothing is. */
function runtimeFinding(answer: Answer, { isApi, noHttp, door }: Asked): string | null {
  const { status } = answer;
  const words = answer.body.toString("latin1").slice(0, 200);
  if (status >= 500) {
    const isKnown = RUNTIME_FAILURES.some(
      (known) =>
        known.noHttp.includes(noHttp) &&
        (known.door ?? door) === door &&
        known.status === status &&
        known.body.test(words),
    );
    return isKnown ? null : `a ${status} of the runtime, at the door of the ${door}: ${words}`;
  }
  // The platform serves the page's files.
  return noHttp === null && isApi ? `a ${status} without X-Request-Id: ${words}` : null;
}

/** What is wrong with an answer; null when nothing is. */
export function finding(answer: Answer, asked: Asked): string | null {
  const { status } = answer;
  if (!isOurs(answer)) return runtimeFinding(answer, asked);
  if (status >= 500) return `a ${status} of ours: ${answer.body.toString().slice(0, 400)}`;
  if (status >= 400) {
    const problem = problemFinding(answer, asked.method);
    if (problem !== null) return problem;
  }
  if (asked.operation !== null && asked.operation.responses[String(status)] === undefined) {
    return `a ${status} that ${asked.operation.operationId} is not documented to answer: ${answer.body.toString().slice(0, 400)}`;
  }
  return null;
}
