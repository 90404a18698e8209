import { Hono } from "hono";
import { protocolApp } from "../compat/protocol.ts";
import { clientOf, isByOperator, requireAsker, viewerOf } from "../http/access.ts";
import { errorAnswer } from "../http/answers.ts";
import { type HttpContext, type HttpEnv, requestOrigin } from "../http/context.ts";
import { LocalApi } from "../local-api.ts";
import { HOPS_HEADER } from "../webhooks/send.ts";

/** After scheme and host: the path `/mcp`. */
const MCP = /^[^/]*\/\/[^/?#]*\/mcp\/?(?:[?#]|$)/;

async function serve(c: HttpContext): Promise<Response> {
  const asker = requireAsker(c);
  const client = clientOf(viewerOf(c, asker));
  const asked = {
    origin: requestOrigin(c),
    byOperator: isByOperator(asker),
    traceparent: c.req.header("traceparent"),
    hops: c.req.header(HOPS_HEADER),
  };
  const api = new LocalApi(c.env, c.executionCtx as ExecutionContext, client, asked);
  // The SDK weighs more than the rest of the Worker: it is evaluated by the first request that needs it.
  const { serveTools } = await import("./tools.ts");
  const answer = await serveTools(api, c.req.raw);
  // The headers of every answer are added to it, so it must be one whose headers can be changed.
  return new Response(answer.body, answer);
}

// Nothing is kept between requests, so there is no stream to open by GET and no session to end by DELETE.
const routes = new Hono<HttpEnv>().post("/mcp", serve);

const app = protocolApp({ routes, refuse: (c, problem) => errorAnswer(c, problem) });

/** Tools for assistants over MCP's streamable HTTP, at `/mcp`; null for any other address. */
export function mcpApp(url: string): Hono<HttpEnv> | null {
  return MCP.test(url) ? app : null;
}
