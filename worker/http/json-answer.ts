import type { MiddlewareHandler } from "hono";
import { headersOfEveryAnswer } from "./answer-headers.ts";
import { asksFor, chooseType } from "./core/accept.ts";
import type { HttpContext, HttpEnv } from "./http-env.ts";
import { PRIVATE_VARY } from "./negotiated.ts";
import { ProblemError } from "./problem.ts";

/** JSON, indented unless `Accept` asks for application/json by name: that is how curl and browsers see it. */
export function jsonAnswer(
  c: HttpContext,
  body: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const text = isCompact(c) ? JSON.stringify(body) : `${JSON.stringify(body, null, 2)}\n`;
  return jsonResponse(c, text, status, headers);
}

/** As `jsonAnswer`, of compact JSON that is text already. */
export function jsonTextAnswer(
  c: HttpContext,
  json: string,
  status: number,
  headers: Readonly<Record<string, string>>,
): Response {
  const text = isCompact(c) ? json : `${JSON.stringify(JSON.parse(json), null, 2)}\n`;
  return jsonResponse(c, text, status, headers);
}

function jsonResponse(c: HttpContext, text: string, status: number, headers: Readonly<Record<string, string>>) {
  return new Response(text, {
    status,
    headers: { ...headersOfEveryAnswer(c), "Content-Type": "application/json", Vary: PRIVATE_VARY, ...headers },
  });
}

function isCompact(c: HttpContext): boolean {
  return asksFor(c.req.header("accept"), "application/json");
}

/** The offered media type that `Accept` likes best; none of them is a 406 that lists them. */
export function negotiate<Offer extends string>(c: HttpContext, offers: readonly [Offer, ...Offer[]]): Offer {
  const chosen = chooseType(c.req.header("accept"), offers);
  if (chosen === null) {
    throw new ProblemError("not_acceptable", `This is available as ${offers.join(", ")}; Accept takes none of them.`);
  }
  return chosen;
}

/** For routes that answer JSON and nothing else: refuses before anything is done. */
export const answersJson: MiddlewareHandler<HttpEnv> = async (c, next) => {
  negotiate(c, ["application/json"]);
  await next();
};
