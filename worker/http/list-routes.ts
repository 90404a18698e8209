import { Hono } from "hono";
import { type JobList, JobStatus, type JobSummary } from "../../schemas/job.ts";
import { paths, WORKFLOWS, type Workflow } from "../../schemas/paths.ts";
import { givenWords } from "../allowed-words.ts";
import type { CatalogEntry, ListQuery } from "../catalog/contract.ts";
import { encodeListCursor, newestFirst } from "../catalog/core/list-cursor.ts";
import { toQueuePlace } from "../catalog/core/queue-place.ts";
import { presentSummary } from "../job/core/present.ts";
import type { Place } from "../lane/contract.ts";
import { laneName } from "../lane/lane-name.ts";
import { catalogStub, laneStub } from "../stubs.ts";
import { requireAsker, viewerOf } from "./asker.ts";
import type { HttpContext, HttpEnv } from "./http-env.ts";
import { linksFor } from "./job-answer.ts";
import { answersJson, jsonAnswer } from "./json-answer.ts";
import { listQuery } from "./openapi/parameters.ts";
import { queryCheck, queryProblem, queryValue, wholeNumberOf } from "./query.ts";

const checkQuery = queryCheck(listQuery);

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 100;

interface Owned {
  readonly client: string;
  readonly entry: CatalogEntry;
}

/** `?status=queued,running` or the key repeated. */
function statusesOf(c: HttpContext): JobStatus[] | null {
  const given = (c.req.queries("status") ?? []).flatMap((text) => text.split(",")).filter((text) => text !== "");
  if (given.length === 0) return null;
  return given.map((text) => {
    const status = JobStatus.safeParse(text.trim());
    if (!status.success) {
      throw queryProblem("status", `must be one of ${JobStatus.options.join(", ")}; got ${givenWords(text)}`);
    }
    return status.data;
  });
}

function workflowOf(c: HttpContext): Workflow | null {
  const given = queryValue(c, "workflow");
  if (given === null) return null;
  const workflow = WORKFLOWS.find((name) => name === given);
  if (workflow === undefined)
    throw queryProblem("workflow", `must be one of ${WORKFLOWS.join(", ")}; got ${givenWords(given)}`);
  return workflow;
}

function position({ entry }: Owned) {
  return { createdAtMs: Date.parse(entry.createdAt), id: entry.id };
}

/**
 * One page over one client's jobs or several clients'. A cursor is a place in the one order that all catalogs share, so it
 * holds for each of them.
 */
async function pageOf(c: HttpContext, clients: readonly string[], query: ListQuery) {
  const answers = await Promise.all(
    clients.map(async (client) => ({ client, answer: await catalogStub(c.env, client).list(query) })),
  );
  let hasMore = false;
  const found: Owned[] = [];
  for (const { client, answer } of answers) {
    if (!answer.ok) throw queryProblem("cursor", "is not one that a list gave");
    hasMore ||= answer.nextCursor !== null;
    for (const entry of answer.entries) found.push({ client, entry });
  }
  found.sort((a, b) => newestFirst(position(a), position(b)));
  const page = found.slice(0, query.limit);
  const last = page.at(-1);
  hasMore ||= found.length > page.length;
  return { page, nextCursor: hasMore && last !== undefined ? encodeListCursor(position(last)) : null };
}

/** Where the waiting ones stand: one question to each lane. A lane that does not answer leaves them without a place. */
async function placesOf(c: HttpContext, page: readonly Owned[]): Promise<ReadonlyMap<string, Place>> {
  const waiting = Map.groupBy(
    page.filter(({ entry }) => entry.status === "queued"),
    ({ entry }) => entry.model,
  );
  const asked = [...waiting].map(async ([model, owned]) => {
    const lane = laneStub(c.env, laneName(c.get("config"), model));
    return Object.entries(await lane.places(owned.map(({ entry }) => entry.id)));
  });
  const answers = await Promise.allSettled(asked);
  return new Map(answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : [])));
}

/** The client's jobs, newest first; the operator's list is everyone's, or that of `?client=`. */
export const listRoutes = new Hono<HttpEnv>().get(paths.jobs, answersJson, async (c) => {
  const viewer = viewerOf(c, requireAsker(c));
  checkQuery(c);
  const clients = viewer === null ? Object.keys(c.get("config").clientTokens) : [viewer];
  const limit = wholeNumberOf(c, "limit", 1, MAX_LIMIT) ?? DEFAULT_LIMIT;
  const cursor = queryValue(c, "cursor");
  const { page, nextCursor } = await pageOf(c, clients, {
    status: statusesOf(c),
    workflow: workflowOf(c),
    limit,
    cursor,
  });
  const places = await placesOf(c, page);
  const links = linksFor(c);
  const jobs: JobSummary[] = page.map(({ client, entry }) => {
    const place = places.get(entry.id);
    return presentSummary(entry, client, links, place === undefined ? null : toQueuePlace(place));
  });
  return jsonAnswer(c, { jobs, nextCursor } satisfies JobList);
});
