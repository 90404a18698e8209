import { Hono } from "hono";
import type { JobStatus } from "../../schemas/job.ts";
import type { Limits } from "../../schemas/limits.ts";
import { paths } from "../../schemas/paths.ts";
import { within } from "../bounds.ts";
import { catalogStub } from "../stubs.ts";
import { requireAsker, viewerOf } from "./asker.ts";
import type { HttpContext, HttpEnv } from "./http-env.ts";
import { answersJson, jsonAnswer } from "./json-answer.ts";
import { configuredModels, laneReports, READ_WAIT_MS } from "./lanes.ts";
import { clientQuery } from "./openapi/parameters.ts";
import { queryCheck } from "./query.ts";

const checkQuery = queryCheck(clientQuery);

const UNFINISHED: readonly JobStatus[] = ["queued", "running", "retrying"];
/** Enough to meet every model that a client has jobs waiting for. */
const LOOK_AT_MOST = 100;

/** The models that a client's unfinished jobs wait for. */
async function waitedFor(c: HttpContext, client: string | null): Promise<string[]> {
  if (client === null) return [];
  const query = { status: UNFINISHED, workflow: null, limit: LOOK_AT_MOST, cursor: null };
  try {
    const answer = await within(READ_WAIT_MS, "the catalog", catalogStub(c.env, client).list(query));
    return answer.ok ? answer.entries.map((entry) => entry.model) : [];
  } catch (error) {
    // The limits are shown all the same, with fewer lanes.
    console.error({ event: "catalog_unavailable", client, error: String(error) });
    return [];
  }
}

/** The lanes that matter to who asks (the configured ones, and those of their unfinished jobs), and every model's limits. */
export const limitsRoutes = new Hono<HttpEnv>().get(paths.limits, answersJson, async (c) => {
  const config = c.get("config");
  const viewer = viewerOf(c, requireAsker(c));
  checkQuery(c);
  const waiting = await waitedFor(c, viewer);
  const reports = await laneReports(c.env, config, [...new Set([...configuredModels(config), ...waiting])]);
  const body: Limits = { lanes: reports.filter((report) => report !== null), models: config.modelTable.infos(config) };
  return jsonAnswer(c, body);
});
