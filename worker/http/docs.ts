import { z } from "zod";
import { paths } from "../../schemas/paths.ts";
import { answer, jsonAnswer, negotiate, PUBLIC_VARY } from "./answers.ts";
import { headers, shown } from "./openapi/answers.ts";
import { DOCS_POLICY, docsPage } from "./openapi/docs-page.ts";
import { type OpenApiDocument, openApiDocument } from "./openapi/document.ts";
import { publicRoute, type Route } from "./route.ts";

/** The document is public, and does not change until the next deploy. */
const CACHING = { "Cache-Control": "public, max-age=300", Vary: PUBLIC_VARY };

/** The API's own description, for programs and for people. `routes` are all routes, these among them. */
export function docsRoutes(routes: () => readonly Route[]): readonly Route[] {
  // Made once for each isolate, on the first request.
  let document: OpenApiDocument | null = null;
  let page: string | null = null;
  const documentOnce = () => {
    document ??= openApiDocument(routes());
    return document;
  };
  return [
    publicRoute(
      {
        method: "GET",
        path: paths.openapi,
        id: "getOpenApi",
        tag: "Service",
        summary: "This document",
        json: true,
        answers: {
          "200": {
            description: "OpenAPI 3.1.",
            headers: headers(),
            content: { "application/json": shown(z.looseObject({ openapi: z.string() })) },
          },
        },
      },
      (c) => jsonAnswer(c, documentOnce(), 200, CACHING),
    ),
    publicRoute(
      {
        method: "GET",
        path: paths.docs,
        id: "getDocs",
        tag: "Service",
        summary: "This document, for people",
        answers: {
          "200": {
            description: "A page for people.",
            headers: headers(),
            content: { "text/html": shown(z.string()) },
          },
        },
        problems: ["not_acceptable"],
      },
      (c) => {
        negotiate(c, ["text/html"]);
        page ??= docsPage(documentOnce());
        const own = { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": DOCS_POLICY };
        return answer(c, page, 200, { ...own, ...CACHING });
      },
    ),
  ];
}
