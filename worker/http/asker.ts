import { type Asker, type AuthRefusal, authenticate } from "../auth/authenticate.ts";
import { CLIENT_NAME, PUBLIC_OPEN_MODE_PHRASE } from "../env.ts";
import type { Viewer } from "../job/contract.ts";
import { type HttpContext, requestOrigin } from "./http-env.ts";
import { ProblemError } from "./problem.ts";
import { queryProblem } from "./query.ts";

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Whether the request asks for a WebSocket. */
export function isUpgrade(c: HttpContext): boolean {
  return c.req.method === "GET" && c.req.header("upgrade")?.toLowerCase() === "websocket";
}

/** Nobody is there, with how to be somebody. */
export function unauthorized(given: "nothing" | "bad_token" | "bad_scheme"): ProblemError {
  const headers = {
    "WWW-Authenticate": `Bearer realm="darkroom"${given === "bad_token" ? ', error="invalid_token"' : ""}`,
  };
  const detail = {
    nothing: "Send `Authorization: Bearer <token>`, or sign in at the page.",
    bad_scheme: "The Authorization header must be `Bearer <token>`.",
    bad_token: "This token is nobody's.",
  }[given];
  return new ProblemError("unauthorized", detail, { headers });
}

function refusalProblem(refusal: AuthRefusal): ProblemError {
  switch (refusal.code) {
    case "unauthorized":
      return unauthorized(refusal.given);
    case "forbidden_origin":
      return new ProblemError(
        "forbidden_origin",
        "Pages of other origins may not do this; ALLOWED_ORIGINS lists those that may.",
      );
    case "open_mode_refused":
      return new ProblemError(
        "open_mode_refused",
        `AUTH_MODE=open serves localhost. Set AUTH_MODE=token, or ALLOW_PUBLIC_OPEN_MODE="${PUBLIC_OPEN_MODE_PHRASE}".`,
      );
    default:
      throw new Error(`no such refusal: ${JSON.stringify(refusal satisfies never)}`);
  }
}

/** Who asks, or why that is nobody. */
export function identify(c: HttpContext) {
  const request = {
    authorization: c.req.header("authorization"),
    cookie: c.req.header("cookie"),
    browserOrigin: c.req.header("origin"),
    ownOrigin: requestOrigin(c),
    needsOrigin: !SAFE_METHODS.has(c.req.method) || isUpgrade(c),
  };
  return authenticate(c.get("config"), request, Date.now());
}

/** Who asks; nobody is a problem. */
export function requireAsker(c: HttpContext): Asker {
  const identified = identify(c);
  if (!identified.ok) throw refusalProblem(identified);
  return identified.asker;
}

/** Refuses everyone but the operator; in open mode, where there is none, nobody. */
export function requireOperator(c: HttpContext): void {
  const asker = requireAsker(c);
  if (asker.role === "operator" || asker.via === "open") return;
  throw new ProblemError("operator_only", "This is for the operator, whose token ADMIN_TOKEN_SHA256 is the hash of.");
}

/** The client that `?client=` selects, for the operator; a client may name itself only. Null when not given. */
function selectedClient(c: HttpContext, asker: Asker): string | null {
  const named = c.req.query("client");
  if (named === undefined) return null;
  const message = !CLIENT_NAME.test(named)
    ? "is not a client's name"
    : asker.role === "client" && asker.client !== named
      ? "only the operator may choose a client"
      : null;
  if (message === null) return named;
  throw queryProblem("client", message);
}

/** Whose jobs the asker may see: a client's own; the operator all of them, or those of `?client=`. */
export function viewerOf(c: HttpContext, asker: Asker): Viewer {
  return asker.role === "client" ? (selectedClient(c, asker) ?? asker.client) : selectedClient(c, asker);
}

/** The one client for whom something is done; the operator must say which. */
export function clientOf(c: HttpContext, asker: Asker): string {
  const viewer = viewerOf(c, asker);
  if (viewer !== null) return viewer;
  const message = "must name a client: the operator says for which one";
  throw queryProblem("client", message);
}

/** For whom a job is made: a client that has a token. Of any other no list would show it, and nobody could ask for it. */
export function submitterOf(c: HttpContext, asker: Asker): string {
  const client = clientOf(c, asker);
  if (asker.role === "client" || Object.hasOwn(c.get("config").clientTokens, client)) return client;
  throw queryProblem("client", "names no client of CLIENT_TOKENS");
}
