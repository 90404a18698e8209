import { Hono } from "hono";
import { z } from "zod";
import { type Identity, OPERATOR_NAME, type Session } from "../../schemas/limits.ts";
import { paths } from "../../schemas/paths.ts";
import { isTrustedOrigin, OPEN_CLIENT } from "../auth/authenticate.ts";
import { closeSession, openSession, SESSION_MS } from "../auth/session.ts";
import { ownerOf } from "../auth/tokens.ts";
import { requireAsker, unauthorized } from "./asker.ts";
import { type HttpContext, type HttpEnv, requestOrigin } from "./http-env.ts";
import { answersJson, jsonAnswer } from "./json-answer.ts";
import { noQuery } from "./openapi/parameters.ts";
import { ProblemError } from "./problem.ts";
import { queryCheck } from "./query.ts";
import { parseJson, smallBody } from "./submit-body.ts";

const checkQuery = queryCheck(noQuery);

/** More than any token, and far less than would hurt. */
const MAX_SESSION_BODY_BYTES = 16 * 1024;

const TokenBody = z.strictObject({ token: z.string().min(1).max(1000) });

/** A page of another site must not sign a browser in or out. */
function refuseForeignPage(c: HttpContext): void {
  const origin = c.req.header("origin");
  if (origin === undefined || isTrustedOrigin(c.get("config"), requestOrigin(c), origin)) return;
  throw new ProblemError("forbidden_origin", "Pages of other origins may not sign in or out here.");
}

/** The token of the Authorization header or of a JSON body; null when neither has one. */
async function givenToken(c: HttpContext): Promise<string | null> {
  const authorization = c.req.header("authorization");
  if (authorization !== undefined) return /^bearer +(\S+)$/i.exec(authorization)?.[1] ?? null;
  const mediaType = (c.req.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (mediaType === "") return null;
  if (mediaType !== "application/json") {
    throw new ProblemError("unsupported_media_type", 'The body is JSON: {"token": "…"}.', {
      headers: { "Accept-Post": "application/json" },
    });
  }
  const text = new TextDecoder().decode(await smallBody(c, MAX_SESSION_BODY_BYTES));
  const body = TokenBody.safeParse(parseJson(text));
  if (body.success) return body.data.token;
  const errors = [{ path: "/token", message: "is required: {token} is all that the body holds" }];
  throw new ProblemError("invalid_request", 'The body must be {"token": "…"}.', { errors });
}

/** A browser swaps its token for a cookie that no script can read, and back; anyone asks who they are. */
export const sessionRoutes = new Hono<HttpEnv>()
  .get(paths.session, answersJson, (c) => {
    const asker = requireAsker(c);
    checkQuery(c);
    const identity: Identity =
      asker.role === "operator"
        ? { client: OPERATOR_NAME, role: "operator", clients: Object.keys(c.get("config").clientTokens) }
        : { client: asker.client, role: "client", clients: [asker.client] };
    return jsonAnswer(c, identity);
  })
  .post(paths.session, answersJson, async (c) => {
    refuseForeignPage(c);
    checkQuery(c);
    if (c.get("config").authMode === "open") {
      requireAsker(c);
      const always: Session = { client: OPEN_CLIENT, expiresAt: new Date(Date.now() + SESSION_MS).toISOString() };
      return jsonAnswer(c, always);
    }
    const token = await givenToken(c);
    const owner = token === null ? null : ownerOf(c.get("config"), token);
    const opened = owner === null ? null : openSession(c.get("config"), owner, requestOrigin(c), Date.now());
    if (owner === null || opened === null) throw unauthorized(token === null ? "nothing" : "bad_token");
    const client = owner.role === "operator" ? OPERATOR_NAME : owner.client;
    const session: Session = { client, expiresAt: new Date(opened.endsAtMs).toISOString() };
    return jsonAnswer(c, session, 200, { "Set-Cookie": opened.setCookie });
  })
  .delete(paths.session, (c) => {
    refuseForeignPage(c);
    checkQuery(c);
    return new Response(null, { status: 204, headers: { "Set-Cookie": closeSession(requestOrigin(c)) } });
  });
