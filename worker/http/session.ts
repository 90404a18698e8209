import { z } from "zod";
import { Identity, OPERATOR_NAME, Session } from "../../schemas/limits.ts";
import { paths } from "../../schemas/paths.ts";
import { OPEN_CLIENT } from "../auth/authenticate.ts";
import { closeSession, openSession, SESSION_MS } from "../auth/session.ts";
import { ownerOf } from "../auth/tokens.ts";
import { refuseForeignPage, requireAsker, unauthorized } from "./access.ts";
import { answer, jsonAnswer, ProblemError } from "./answers.ts";
import { type HttpContext, requestOrigin } from "./context.ts";
import { headers, json } from "./openapi/answers.ts";
import { publicRoute, type Route } from "./route.ts";
import { parseJson, smallBody } from "./submit-body.ts";

/** Larger than any token, and small enough to be harmless. */
const MAX_SESSION_BODY_BYTES = 16 * 1024;

const TokenBody = z.strictObject({ token: z.string().min(1).max(1000) });

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

/** Lets a browser swap its token for a cookie that no script can read, and end that session; answers a client who it is. */
export const SESSION_ROUTES: readonly Route[] = [
  publicRoute(
    {
      method: "GET",
      path: paths.session,
      id: "getIdentity",
      tag: "Service",
      summary: "Who asks",
      json: true,
      security: [{ bearer: [] }, { session: [] }],
      answers: { "200": json("The asker, by token or by session.", Identity, "identity") },
      problems: ["unauthorized", "open_mode_refused"],
    },
    (c) => {
      const asker = requireAsker(c);
      const identity: Identity =
        asker.role === "operator"
          ? { client: OPERATOR_NAME, role: "operator", clients: Object.keys(c.get("config").clientTokens) }
          : { client: asker.client, role: "client", clients: [asker.client] };
      return jsonAnswer(c, identity);
    },
  ),
  publicRoute(
    {
      method: "POST",
      path: paths.session,
      id: "openSession",
      tag: "Service",
      summary: "Swaps a token for a cookie",
      description:
        "Send the token as `Authorization: Bearer`, or in the body. The session ends with its token, or with the signing secret.",
      json: true,
      security: [{ bearer: [] }, {}],
      body: {
        required: false,
        content: { "application/json": { schema: z.strictObject({ token: z.string() }), example: { token: "dk_…" } } },
      },
      answers: { "200": json("The session.", Session, "session", ["Set-Cookie"]) },
      problems: [
        "unauthorized",
        "open_mode_refused",
        "forbidden_origin",
        "invalid_request",
        "malformed_json",
        "malformed_body",
        "unsupported_media_type",
        "body_too_large",
      ],
    },
    async (c) => {
      // A page of another site must not sign a browser in or out.
      refuseForeignPage(c);
      const config = c.get("config");
      if (config.authMode === "open") {
        requireAsker(c);
        const always: Session = { client: OPEN_CLIENT, expiresAt: new Date(Date.now() + SESSION_MS).toISOString() };
        return jsonAnswer(c, always);
      }
      const token = await givenToken(c);
      const owner = token === null ? null : ownerOf(config, token);
      const opened = owner === null ? null : openSession(config, owner, requestOrigin(c), Date.now());
      if (owner === null || opened === null) throw unauthorized(token === null ? "nothing" : "bad_token");
      const client = owner.role === "operator" ? OPERATOR_NAME : owner.client;
      const session: Session = { client, expiresAt: new Date(opened.endsAtMs).toISOString() };
      return jsonAnswer(c, session, 200, { "Set-Cookie": opened.setCookie });
    },
  ),
  publicRoute(
    {
      method: "DELETE",
      path: paths.session,
      id: "closeSession",
      tag: "Service",
      summary: "Ends the session in this browser",
      security: [{ session: [] }, {}],
      answers: { "204": { description: "Ended.", headers: headers("Set-Cookie") } },
      problems: ["forbidden_origin"],
    },
    (c) => {
      refuseForeignPage(c);
      return answer(c, null, 204, { "Set-Cookie": closeSession(requestOrigin(c)) });
    },
  ),
];
