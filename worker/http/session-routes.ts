import { Hono } from "hono";
import type { Session } from "../../schemas/limits.ts";
import { paths } from "../../schemas/paths.ts";
import { isTrustedOrigin } from "../auth/authenticate.ts";
import { closeSession, openSession, SESSION_MS } from "../auth/session.ts";
import { ownerOf } from "../auth/tokens.ts";
import { requireAsker } from "./asker.ts";
import { type HttpContext, type HttpEnv, originOf } from "./http-env.ts";
import { answersJson, jsonAnswer } from "./json-answer.ts";
import { ProblemError } from "./problem.ts";

/** What the operator's session names as its client. */
const OPERATOR_NAME = "operator";

/** A page of another site must not sign a browser in or out. */
function refuseForeignPage(c: HttpContext): void {
  const origin = c.req.header("origin");
  if (origin === undefined || isTrustedOrigin(c.get("config"), originOf(c), origin)) return;
  throw new ProblemError("forbidden_origin", "Pages of other origins may not sign in or out here.");
}

/** A browser swaps its token for a cookie that no script can read, and back. */
export const sessionRoutes = new Hono<HttpEnv>()
  .post(paths.session, answersJson, (c) => {
    refuseForeignPage(c);
    const asker = requireAsker(c);
    const token = /^bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    const owner = token === undefined ? null : ownerOf(c.get("config"), token);
    const opened = owner === null ? null : openSession(c.get("config"), owner, originOf(c), Date.now());
    // Open mode needs no session; a session is not prolonged without its token.
    if (opened === null && asker.via !== "open") {
      throw new ProblemError("unauthorized", "A session is opened with `Authorization: Bearer <token>`.", {
        headers: { "WWW-Authenticate": 'Bearer realm="darkroom"' },
      });
    }
    const client = asker.role === "operator" ? OPERATOR_NAME : asker.client;
    const session: Session = { client, expiresAt: new Date(opened?.endsAtMs ?? Date.now() + SESSION_MS).toISOString() };
    return jsonAnswer(c, session, 200, opened === null ? {} : { "Set-Cookie": opened.setCookie });
  })
  .delete(paths.session, (c) => {
    refuseForeignPage(c);
    return new Response(null, { status: 204, headers: { "Set-Cookie": closeSession(originOf(c)) } });
  });
