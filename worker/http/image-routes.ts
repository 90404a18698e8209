import { Hono } from "hono";
import { sharesWithOrigins } from "../auth/authenticate.ts";
import { imageFileName } from "../results/image-file-name.ts";
import { serveImage } from "../results/serve.ts";
import { jobStub } from "../stubs.ts";
import type { HttpContext, HttpEnv } from "./http-env.ts";
import { jobIdOf } from "./job-id.ts";
import { jobProblem } from "./job-problem.ts";
import { linkViewer } from "./link-access.ts";
import { linkQuery } from "./openapi/parameters.ts";
import { ProblemError } from "./problem.ts";
import { queryCheck } from "./query.ts";

const checkQuery = queryCheck(linkQuery);

/** A private cache may keep an image for as long as a link lasts at least; whoever may see it may keep it anyway. */
const MAX_AGE_SECONDS = 6 * 3600;

function indexOf(c: HttpContext): number {
  const text = c.req.param("index") ?? "";
  // Past four digits no job has an image, and a second spelling of a number is no address of ours.
  if (/^(0|[1-9]\d{0,3})$/.test(text)) return Number(text);
  throw jobProblem({ ok: false, code: "image_not_found" });
}

/** One stored image, for its signed link or for who may see the job. */
export const imageRoutes = new Hono<HttpEnv>().get("/api/jobs/:id/images/:index", async (c) => {
  const id = jobIdOf(c);
  const index = indexOf(c);
  const { viewer, linkEndsAtMs } = linkViewer(c, { kind: "image", jobId: id, index });
  checkQuery(c);
  const found = await jobStub(c.env, id).image(viewer, index);
  if (!found.ok) throw jobProblem(found);
  const fileName = imageFileName(found.prompt, id, index, found.contentType);
  const served = await serveImage(c.env.RESULTS, found, c.req.raw, { fileName, maxAgeSeconds: MAX_AGE_SECONDS });
  if (served.kind === "gone") throw jobProblem({ ok: false, code: "image_not_found" });
  if (served.kind === "precondition_failed") {
    throw new ProblemError("precondition_failed", "If-Match names another image than this.");
  }
  if (served.kind === "range_not_satisfiable") {
    throw new ProblemError("range_not_satisfiable", `The image has ${found.bytes} bytes.`, { headers: served.headers });
  }
  // A link is for `<img>` on pages of other origins too; what needs credentials is for our own.
  const isShared = linkEndsAtMs !== null || sharesWithOrigins(c.get("config"));
  served.response.headers.set("Cross-Origin-Resource-Policy", isShared ? "cross-origin" : "same-origin");
  return served.response;
});
