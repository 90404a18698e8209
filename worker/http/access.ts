import { OPERATOR_NAME } from "../../schemas/limits.ts";
import type { OperatorEntry } from "../../schemas/operator.ts";
import { type Asker, type AuthRefusal, authenticate, isTrustedOrigin } from "../auth/authenticate.ts";
import { checkLink, type LinkTarget } from "../auth/links.ts";
import { CLIENT_NAME, PUBLIC_OPEN_MODE_PHRASE } from "../env.ts";
import type { Viewer } from "../job/contract.ts";
import { operatorLogStub } from "../stubs.ts";
import { ProblemError } from "./answers.ts";
import { type HttpContext, isUpgrade, requestOrigin } from "./context.ts";
import { queryProblem } from "./query.ts";

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** The 401, which says how to authenticate. */
export function unauthorized(given: "nothing" | "bad_token" | "bad_scheme"): ProblemError {
  const headers = {
    "WWW-Authenticate": `Bearer realm="darkroom"${given === "bad_token" ? ', error="invalid_token"' : ""}`,
  };
  const detail = {
    nothing: "Send `Authorization: Bearer <token>`, or sign in at the page.",
    bad_scheme: "The Authorization header must be `Bearer <token>`.",
    bad_token: "No client has this token.",
  }[given];
  return new ProblemError("unauthorized", detail, { headers });
}

function forbiddenOrigin(): ProblemError {
  const detail = "Pages of other origins may not do this; ALLOWED_ORIGINS lists those that may.";
  return new ProblemError("forbidden_origin", detail);
}

function refusalProblem(refusal: AuthRefusal): ProblemError {
  switch (refusal.code) {
    case "unauthorized":
      return unauthorized(refusal.given);
    case "forbidden_origin":
      return forbiddenOrigin();
    case "open_mode_refused":
      return new ProblemError(
        "open_mode_refused",
        `AUTH_MODE=open serves localhost. Set AUTH_MODE=token, or ALLOW_PUBLIC_OPEN_MODE="${PUBLIC_OPEN_MODE_PHRASE}".`,
      );
    default:
      throw new Error(`no such refusal: ${JSON.stringify(refusal satisfies never)}`);
  }
}

/** Requests that come over a service binding, or from inside the Worker, with the client for whom they are made. */
const BOUND_ASKERS = new WeakMap<Request, Asker>();

/**
 * The client's name is trusted and needs no token, for requests that come over a service binding or from inside the Worker:
 * no header of an HTTP request can set it. With `byOperator`, the operator's log records what the request does.
 */
export function actFor(client: string, request: Request, { byOperator }: { readonly byOperator: boolean }): Request {
  if (!CLIENT_NAME.test(client)) throw new TypeError(`not a client's name: ${JSON.stringify(client)}`);
  BOUND_ASKERS.set(request, { role: "client", client, via: "binding", byOperator });
  return request;
}

/** Whether the operator asks, for itself or for a client. */
export function isByOperator(asker: Asker): boolean {
  return asker.role === "operator" || (asker.via === "binding" && asker.byOperator);
}

function identify(c: HttpContext) {
  const bound = BOUND_ASKERS.get(c.req.raw);
  if (bound !== undefined) return { ok: true, asker: bound } as const;
  const request = {
    authorization: c.req.header("authorization"),
    cookie: c.req.header("cookie"),
    browserOrigin: c.req.header("origin"),
    ownOrigin: requestOrigin(c),
    needsOrigin: !SAFE_METHODS.has(c.req.method) || isUpgrade(c),
  };
  return authenticate(c.get("config"), request, Date.now());
}

/** The asker. Throws a problem when the token or session is missing or not valid. */
export function requireAsker(c: HttpContext): Asker {
  const identified = identify(c);
  if (!identified.ok) throw refusalProblem(identified);
  return identified.asker;
}

/** Throws unless the operator asks; in open mode, which has no operator, everyone may. Returns the name for the operator's log. */
export function requireOperator(c: HttpContext): string {
  const asker = requireAsker(c);
  if (asker.role === "operator") return OPERATOR_NAME;
  if (asker.via === "open") return asker.client;
  throw new ProblemError("operator_only", "This is for the operator, whose token ADMIN_TOKEN_SHA256 is the hash of.");
}

/** Refuses a browser's request from a page of another origin. For routes that do not authenticate the asker. */
export function refuseForeignPage(c: HttpContext): void {
  const origin = c.req.header("origin");
  if (origin !== undefined && !isTrustedOrigin(c.get("config"), requestOrigin(c), origin)) throw forbiddenOrigin();
}

/** Whose jobs the asker may see: a client's own; the operator's, all of them, or those of `?client=`. */
export function viewerOf(c: HttpContext, asker: Asker): Viewer {
  const own = asker.role === "client" ? asker.client : null;
  const named = c.req.query("client");
  if (named === undefined) return own;
  if (!CLIENT_NAME.test(named)) throw queryProblem("client", "is not a client's name");
  if (own !== null && own !== named) throw queryProblem("client", "only the operator may choose a client");
  return named;
}

/** The one client for whom something is done; the operator must name it. */
export function clientOf(viewer: Viewer): string {
  if (viewer !== null) return viewer;
  throw queryProblem("client", "must name a client: the operator says for which one");
}

/**
 * The client that a job is made for. The operator may name only a client that has a token: no list shows the jobs of another
 * one, and nobody could read them. Marks the operator's submission as such in the context.
 */
export function submitterOf(c: HttpContext, asker: Asker, viewer: Viewer = viewerOf(c, asker)): string {
  const client = clientOf(viewer);
  c.set("isOperatorsSubmission", isByOperator(asker));
  if (asker.role === "client" || Object.hasOwn(c.get("config").clientTokens, client)) return client;
  throw queryProblem("client", "names no client of CLIENT_TOKENS");
}

/** Who may see something that a signed link can open. */
export interface LinkViewer {
  readonly viewer: Viewer;
  /** The end of the link by which the viewer came; null for a client or the operator. */
  readonly linkEndsAtMs: number | null;
}

/**
 * Who may see the target of a signed link: its bearer, whosever the job is, else the client or operator who authenticates. A
 * link that is not valid is refused only when the request has no valid token or session either.
 */
export function linkViewer(c: HttpContext, target: LinkTarget): LinkViewer {
  const { url } = c.req;
  // Most reads come with a token and without a query, and are polls.
  const query = url.includes("?") ? new URL(url).searchParams : new URLSearchParams();
  const link = checkLink(c.get("config"), target, query, Date.now());
  if (link.state === "valid") {
    // Pages of any origin may open a socket in a browser, so a link that leaked to another site must not work there.
    if (isUpgrade(c)) refuseForeignPage(c);
    return { viewer: null, linkEndsAtMs: link.endsAtMs };
  }
  if (link.state === "invalid" && !identify(c).ok) {
    throw new ProblemError("invalid_link", "The link is not valid, or no longer. GET the job again for a new one.");
  }
  return { viewer: viewerOf(c, requireAsker(c)), linkEndsAtMs: null };
}

/** Writes the action into the operator's log, then carries it out. A failure is logged as a further entry. */
export async function logged<Result>(
  c: HttpContext,
  entry: Omit<OperatorEntry, "seq" | "at" | "failed">,
  work: () => Promise<Result>,
): Promise<Result> {
  const written = { ...entry, failed: null };
  const log = operatorLogStub(c.env);
  // A reset of the log's object fails one call. There are two entries if the first call was carried out.
  await log.append(written).catch(() => log.append(written));
  try {
    return await work();
  } catch (error) {
    const failed = { ...written, failed: String(error).slice(0, 200) };
    await log.append(failed).catch(() => undefined);
    throw error;
  }
}

/** Places a job. The submission is logged when the operator submits for a client, by any of the APIs. */
export function loggedSubmission<Result>(
  c: HttpContext,
  entry: Pick<OperatorEntry, "target" | "details">,
  work: () => Promise<Result>,
): Promise<Result> {
  if (c.get("isOperatorsSubmission") !== true) return work();
  return logged(c, { ...entry, action: "job.submit", who: OPERATOR_NAME, reason: null }, work);
}

/** Carries out an action that clients may do too. It is logged when the operator does it. These routes take no reason. */
export function loggedOfOperator<Result>(
  c: HttpContext,
  asker: Asker,
  entry: Pick<OperatorEntry, "action" | "target" | "details">,
  work: () => Promise<Result>,
): Promise<Result> {
  return isByOperator(asker) ? logged(c, { ...entry, who: OPERATOR_NAME, reason: null }, work) : work();
}
