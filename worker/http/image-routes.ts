import { Hono } from "hono";
import { jobStub } from "../stubs.ts";
import type { HttpContext, HttpEnv } from "./http-env.ts";
import { imageAnswer } from "./image-answer.ts";
import { jobIdOf } from "./job-id.ts";
import { jobProblem } from "./job-problem.ts";
import { linkViewer } from "./link-access.ts";
import { imageQuery } from "./openapi/parameters.ts";
import { queryCheck } from "./query.ts";

const checkQuery = queryCheck(imageQuery);

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
  return imageAnswer(c, found, { prompt: found.prompt, jobId: id, index }, linkEndsAtMs !== null);
});
