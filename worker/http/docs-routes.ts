import { Hono } from "hono";
import { paths } from "../../schemas/paths.ts";
import type { HttpEnv } from "./http-env.ts";
import { answersJson, jsonAnswer, negotiate } from "./json-answer.ts";
import { PUBLIC_VARY } from "./negotiated.ts";
import { DOCS_POLICY, docsPage } from "./openapi/docs-page.ts";
import { openApiDocument } from "./openapi/document.ts";
import { noQuery } from "./openapi/parameters.ts";
import { queryCheck } from "./query.ts";

const checkQuery = queryCheck(noQuery);

/** Public, and the same until the next deploy. */
const CACHING = { "Cache-Control": "public, max-age=300", Vary: PUBLIC_VARY };

/** The API's own description, for programs and for people. */
export const docsRoutes = new Hono<HttpEnv>()
  .get(paths.openapi, answersJson, (c) => {
    checkQuery(c);
    return jsonAnswer(c, openApiDocument(), 200, CACHING);
  })
  .get(paths.docs, (c) => {
    negotiate(c, ["text/html"]);
    checkQuery(c);
    const headers = { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": DOCS_POLICY, ...CACHING };
    return new Response(docsPage(), { headers });
  });
