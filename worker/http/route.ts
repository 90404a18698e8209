import { z } from "zod";
import type { ZodOpenApiOperationObject, ZodOpenApiRequestBodyObject, ZodOpenApiResponsesObject } from "zod-openapi";
import type { ProblemCode } from "../../schemas/problem.ts";
import type { Asker } from "../auth/authenticate.ts";
import type { LinkTarget } from "../auth/links.ts";
import { SESSION_COOKIE } from "../auth/session.ts";
import type { Viewer } from "../job/contract.ts";
import { type LinkViewer, linkViewer, requireAsker, requireOperator, viewerOf } from "./access.ts";
import { negotiate } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { documented, type QueryOf, type QueryShape, queryReader } from "./query.ts";

/** The ways to authenticate, by the names of the document's security schemes. */
export const SECURITY_SCHEMES = {
  bearer: { type: "http", scheme: "bearer", description: "A client's token, or the operator's." },
  session: { type: "apiKey", in: "cookie", name: SESSION_COOKIE, description: "See `POST /api/session`." },
  signedLink: {
    type: "apiKey",
    in: "query",
    name: "signature",
    description: "Part of `links.events` and `output.images[].url`.",
  },
} as const;

export type Tag = "Submit" | "Jobs" | "Watch" | "Webhooks" | "Operate" | "Service";

type Security = NonNullable<ZodOpenApiOperationObject["security"]>;

/** The one declaration of a route: the app mounts it, checks requests by it, and documents it. */
interface Declaration<Query extends QueryShape> {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** As in `paths`, with `:id` and `:index` for the varying parts. */
  readonly path: string;
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description?: string;
  /** For a public route that also takes credentials. */
  readonly security?: Security;
  /** The route answers JSON only: another `Accept` is refused before anything is done. */
  readonly json?: true;
  readonly query?: Query;
  readonly headers?: z.ZodObject;
  readonly body?: ZodOpenApiRequestBodyObject;
  readonly answers: ZodOpenApiResponsesObject;
  /** The problems of this route alone, beside those of its kind and those of every route. */
  readonly problems?: readonly ProblemCode[];
}

/** A route in the form that the app and the document use. */
export interface Route {
  readonly method: Declaration<QueryShape>["method"];
  readonly path: string;
  readonly operation: Omit<ZodOpenApiOperationObject, "requestParams" | "responses">;
  readonly query: QueryShape;
  readonly headers: z.ZodObject | null;
  readonly answers: ZodOpenApiResponsesObject;
  readonly problems: readonly ProblemCode[];
  readonly handle: (c: HttpContext) => Response | Promise<Response>;
}

type Answer = Response | Promise<Response>;

/** The header that holds an answer. */
export const PREFER = z.string().optional().meta({
  description:
    "`wait=N` (60 at most) holds the answer: after a submit until the job is done; on a status with If-None-Match until anything changes, without until done.",
});

const CLIENT_QUERY = {
  client: documented(z.string(), "For the operator: whose jobs. A client may name itself only."),
};
const LINK_QUERY = {
  ...CLIENT_QUERY,
  end: documented(z.int(), "Of a signed link: when it ends, in epoch seconds."),
  signature: documented(z.string(), "Of a signed link; stands for a token, for this address alone."),
};

function routeOf<Query extends QueryShape>(
  declared: Declaration<Query>,
  security: Security | null,
  problems: readonly ProblemCode[],
  query: QueryShape,
  handle: (c: HttpContext) => Answer,
): Route {
  const { method, path, id, tag, summary, description, headers = null, body, answers } = declared;
  const documentedSecurity = declared.security ?? security;
  return {
    method,
    path,
    operation: {
      tags: [tag],
      operationId: id,
      summary,
      ...(description === undefined ? {} : { description }),
      ...(documentedSecurity === null ? {} : { security: documentedSecurity }),
      ...(body === undefined ? {} : { requestBody: body }),
    },
    query,
    headers,
    answers,
    problems: [
      ...new Set([
        "invalid_query" as const,
        ...(declared.json === true ? (["not_acceptable"] as const) : []),
        ...problems,
        ...(declared.problems ?? []),
      ]),
    ],
    handle: (c) => {
      if (declared.json === true) negotiate(c, ["application/json"]);
      return handle(c);
    },
  };
}

/** A route for everyone. */
export function publicRoute<Query extends QueryShape = Record<never, never>>(
  declared: Declaration<Query>,
  handle: (c: HttpContext, query: QueryOf<Query>) => Answer,
): Route {
  const query = declared.query ?? ({} as Query);
  const read = queryReader(query);
  return routeOf(declared, [], [], query, (c) => handle(c, read(c)));
}

/** The asker of a route that authenticates. */
interface Asked<Query extends QueryShape> {
  readonly asker: Asker;
  readonly viewer: Viewer;
  readonly query: QueryOf<Query & typeof CLIENT_QUERY>;
}

/** A route for clients and the operator. One that changes something refuses pages of other origins. */
export function clientRoute<Query extends QueryShape = Record<never, never>>(
  declared: Declaration<Query>,
  handle: (c: HttpContext, asked: Asked<Query>) => Answer,
): Route {
  const query = { ...CLIENT_QUERY, ...declared.query } as Query & typeof CLIENT_QUERY;
  const read = queryReader(query);
  const changes: readonly ProblemCode[] = declared.method === "GET" ? [] : ["forbidden_origin"];
  return routeOf(declared, null, ["unauthorized", "open_mode_refused", ...changes], query, (c) => {
    const asker = requireAsker(c);
    return handle(c, { asker, viewer: viewerOf(c, asker), query: read(c) });
  });
}

/** A route for the operator, and in open mode for everyone. `who` is the name for the operator's log. */
export function operatorRoute<Query extends QueryShape = Record<never, never>>(
  declared: Declaration<Query>,
  handle: (c: HttpContext, asked: { readonly who: string; readonly query: QueryOf<Query> }) => Answer,
): Route {
  const query = declared.query ?? ({} as Query);
  const read = queryReader(query);
  const changes: readonly ProblemCode[] = declared.method === "GET" ? [] : ["forbidden_origin"];
  return routeOf(declared, null, ["unauthorized", "open_mode_refused", "operator_only", ...changes], query, (c) => {
    const who = requireOperator(c);
    return handle(c, { who, query: read(c) });
  });
}

/** A route that a signed link opens, too; `targetOf` says which link. */
export function linkRoute<Query extends QueryShape = Record<never, never>>(
  declared: Declaration<Query>,
  targetOf: (c: HttpContext) => LinkTarget,
  handle: (c: HttpContext, who: LinkViewer, query: QueryOf<Query>) => Answer,
): Route {
  const query = { ...LINK_QUERY, ...declared.query } as Query & typeof LINK_QUERY;
  const read = queryReader(query);
  const security = [{ bearer: [] }, { session: [] }, { signedLink: [] }];
  return routeOf(declared, security, ["unauthorized", "open_mode_refused", "invalid_link"], query, (c) => {
    const who = linkViewer(c, targetOf(c));
    return handle(c, who, read(c));
  });
}
