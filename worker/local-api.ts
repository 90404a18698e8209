import { PROBLEMS, type Problem } from "../schemas/problem.ts";
import { compatApp } from "./compat/app.ts";
import { configOf } from "./env.ts";
import { actFor } from "./http/access.ts";
import { app } from "./http/app.ts";
import { HOPS_HEADER } from "./webhooks/send.ts";

/**
 * A refusal of the API, thrown to a caller inside the Worker or over a service binding. Over a binding the class is lost and the
 * own fields stay. A caller with an older compatibility date gets only the message, so the message ends with the code.
 */
export class DarkroomProblem extends Error {
  readonly code: Problem["code"];
  readonly status: number;
  readonly problem: Problem;
  /** How long the API asks to wait before another try, in ms; null when it does not say. */
  readonly retryAfterMs: number | null;

  constructor(problem: Problem, retryAfter: string | null) {
    super(`${problem.title}: ${problem.detail} (${problem.code})`);
    this.name = "DarkroomProblem";
    this.code = problem.code;
    this.status = problem.status;
    this.problem = problem;
    this.retryAfterMs = retryAfter === null ? null : Number(retryAfter) * 1000;
  }
}

/** Where links start when neither `PUBLIC_ORIGIN` nor a request says so. The top-level domain is reserved and never resolves. */
const NO_ORIGIN = "https://set-public-origin.invalid";

/** Who calls, besides the client's name. */
interface LocalCaller {
  readonly origin?: string;
  /** The operator acts for the client: its actions are written into the operator's log. */
  readonly byOperator?: boolean;
  readonly traceparent?: string | undefined;
  /** How many webhooks led to the call, as the header `Darkroom-Hops` has it. */
  readonly hops?: string | null | undefined;
}

/** The HTTP API, the compatible ones too, called as a client from inside the Worker: every limit, check and problem is that of the API. */
export class LocalApi {
  readonly #env: Env;
  readonly #context: ExecutionContext;
  readonly #client: string;
  readonly #origin: string;
  readonly #byOperator: boolean;
  readonly #sent: Readonly<Record<string, string>>;

  /** `origin` starts the links of answers where `PUBLIC_ORIGIN` is not set; `traceparent` and `hops` are sent with every call. */
  constructor(env: Env, context: ExecutionContext, client: string, caller: LocalCaller = {}) {
    const { origin = NO_ORIGIN, byOperator = false, traceparent, hops } = caller;
    const read = configOf(env);
    this.#env = env;
    this.#context = context;
    this.#client = client;
    this.#origin = (read.ok ? read.config.publicOrigin : null) ?? origin;
    this.#byOperator = byOperator;
    this.#sent = { ...(traceparent ? { traceparent } : {}), ...(hops ? { [HOPS_HEADER]: hops } : {}) };
  }

  async fetch(request: Request): Promise<Response> {
    const acting = actFor(this.#client, request, { byOperator: this.#byOperator });
    return (compatApp(request.url) ?? app).fetch(acting, this.#env, this.#context);
  }

  /** The answer to a call, whatever its status. */
  call(path: string, init: RequestInit = {}): Promise<Response> {
    const request = new Request(`${this.#origin}${path}`, init);
    for (const [name, value] of Object.entries(this.#sent)) request.headers.set(name, value);
    return this.fetch(request);
  }

  /** The answer to a call that succeeds; a refusal throws `DarkroomProblem`. */
  async take(path: string, init: RequestInit = {}): Promise<Response> {
    const answer = await this.call(path, init);
    if (answer.ok) return answer;
    // Every refusal of the API is a problem document; the schema would only repeat what this Worker just wrote.
    const problem = (await answer.json()) as Problem;
    if (!(problem.code in PROBLEMS)) throw new Error(`a refusal without a problem: ${answer.status} ${path}`);
    throw new DarkroomProblem(problem, answer.headers.get("retry-after"));
  }

  /** The JSON of a call that succeeds, whose shape the route declares. */
  async json<Shape>(path: string, init: RequestInit = {}): Promise<Shape> {
    const headers = new Headers(init.headers);
    headers.set("Accept", "application/json");
    const answer = await this.take(path, { ...init, headers });
    return (await answer.json()) as Shape;
  }
}
