import { Hono } from "hono";
import { z } from "zod";
import { type JobCounts, type JobList, JobStatus, type JobSummary, MAX_METADATA_KEY_CHARS } from "../../schemas/job.ts";
import { paths, WORKFLOWS, type Workflow } from "../../schemas/paths.ts";
import { searchWords } from "../../schemas/search-text.ts";
import { givenWords } from "../allowed-words.ts";
import type { CatalogEntry, JobFilter, ListQuery } from "../catalog/contract.ts";
import { addCounts } from "../catalog/core/job-filter.ts";
import { decodeListCursor, encodeListCursor, type ListPosition, newestFirst } from "../catalog/core/list-cursor.ts";
import { toQueuePlace } from "../catalog/core/queue-place.ts";
import { presentSummary } from "../job/core/present.ts";
import type { Place } from "../lane/contract.ts";
import { catalogStub } from "../stubs.ts";
import { requireAsker, viewerOf } from "./asker.ts";
import type { HttpContext, HttpEnv } from "./http-env.ts";
import { linksFor } from "./job-answer.ts";
import { answersJson, jsonAnswer } from "./json-answer.ts";
import { lanePlaces } from "./lanes.ts";
import { filterQuery, listQuery } from "./openapi/parameters.ts";
import { queryCheck, queryProblem, queryValue, wholeNumberOf } from "./query.ts";

const checkListQuery = queryCheck(listQuery);
const checkCountQuery = queryCheck(filterQuery);

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 100;

/** Each word of a search and each entry of metadata is looked for in every job: so many are enough to tell jobs apart. */
const MAX_WORDS = 8;
const MAX_Q_CHARS = 200;
const MAX_METADATA_FILTERS = 5;

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

/** A key's text; null when it is absent or empty. */
function boundedText(c: HttpContext, key: string, maxChars: number): string | null {
  const text = queryValue(c, key);
  if (text !== null && text.length > maxChars) throw queryProblem(key, `must have ${maxChars} characters at most`);
  return text;
}

function wordsOf(c: HttpContext): string[] {
  const text = boundedText(c, "q", MAX_Q_CHARS);
  const words = text === null ? [] : searchWords(text);
  if (words.length > MAX_WORDS) throw queryProblem("q", `must have ${MAX_WORDS} words at most`);
  return words;
}

const Moment = z.iso.datetime({ offset: true });

function beforeOf(c: HttpContext): number | null {
  const text = queryValue(c, "before");
  if (text === null) return null;
  if (Moment.safeParse(text).success) return Date.parse(text);
  throw queryProblem("before", `must be a time like 2026-11-23T12:00:00Z; got ${givenWords(text)}`);
}

const METADATA_PREFIX = "metadata.";

function metadataOf(c: HttpContext): { key: string; value: string }[] {
  const given = Object.entries(c.req.query()).filter(([name]) => name.startsWith(METADATA_PREFIX));
  if (given.length > MAX_METADATA_FILTERS) {
    throw queryProblem("metadata.KEY", `must be given ${MAX_METADATA_FILTERS} times at most`);
  }
  return given.map(([name, value]) => {
    const key = name.slice(METADATA_PREFIX.length);
    if (key.length <= MAX_METADATA_KEY_CHARS) return { key, value };
    throw queryProblem("metadata.KEY", `has a KEY of more than ${MAX_METADATA_KEY_CHARS} characters`);
  });
}

function filterOf(c: HttpContext): JobFilter {
  return {
    status: statusesOf(c),
    workflow: workflowOf(c),
    model: boundedText(c, "model", 100),
    words: wordsOf(c),
    metadata: metadataOf(c),
    beforeMs: beforeOf(c),
  };
}

/** Whose jobs are listed: the client's own; the operator's list is everyone's, or that of `?client=`. */
function clientsOf(c: HttpContext): readonly string[] {
  const viewer = viewerOf(c, requireAsker(c));
  return viewer === null ? Object.keys(c.get("config").clientTokens) : [viewer];
}

function position({ entry }: Owned) {
  return { createdAtMs: Date.parse(entry.createdAt), id: entry.id };
}

/**
 * One page over one client's jobs or several clients'. A cursor is a place in the one order that all catalogs share, so it
 * holds for each of them. A page goes no further than the catalog that has come least far.
 */
async function pageOf(c: HttpContext, clients: readonly string[], query: ListQuery) {
  const answers = await Promise.all(
    clients.map(async (client) => ({ client, answer: await catalogStub(c.env, client).list(query) })),
  );
  const ends: ListPosition[] = [];
  const found: Owned[] = [];
  for (const { client, answer } of answers) {
    if (!answer.ok) throw queryProblem("cursor", "is not one that a list gave");
    const end = answer.nextCursor === null ? null : decodeListCursor(answer.nextCursor);
    if (end !== null) ends.push(end);
    for (const entry of answer.entries) found.push({ client, entry });
  }
  const [end = null] = ends.sort(newestFirst);
  const reached = found
    .filter((owned) => end === null || newestFirst(position(owned), end) <= 0)
    .sort((a, b) => newestFirst(position(a), position(b)));
  const page = reached.slice(0, query.limit);
  const last = page.at(-1);
  const next = reached.length > page.length && last !== undefined ? position(last) : end;
  const [only, ...others] = answers;
  // An object of an older version does not tell where its feed stands.
  const feedCursor = only?.answer.ok === true && others.length === 0 ? (only.answer.feedCursor ?? null) : null;
  return { page, nextCursor: next === null ? null : encodeListCursor(next), feedCursor };
}

/** The places of the waiting jobs: one call to each lane. */
async function placesOf(c: HttpContext, page: readonly Owned[]): Promise<ReadonlyMap<string, Place>> {
  const waiting = Map.groupBy(
    page.filter(({ entry }) => entry.status === "queued"),
    ({ entry }) => entry.model,
  );
  const asked = [...waiting].map(([model, owned]) => {
    const ids = owned.map(({ entry }) => entry.id);
    return lanePlaces(c.env, c.get("config"), model, ids);
  });
  return new Map((await Promise.all(asked)).flatMap((places) => Object.entries(places)));
}

/** Lists, newest first, and how many jobs there are of each kind. */
export const listRoutes = new Hono<HttpEnv>()
  .get(paths.jobs, answersJson, async (c) => {
    const clients = clientsOf(c);
    checkListQuery(c);
    const limit = wholeNumberOf(c, "limit", 1, MAX_LIMIT) ?? DEFAULT_LIMIT;
    const cursor = queryValue(c, "cursor");
    const { page, nextCursor, feedCursor } = await pageOf(c, clients, { ...filterOf(c), limit, cursor });
    const places = await placesOf(c, page);
    const links = linksFor(c);
    const jobs: JobSummary[] = page.map(({ client, entry }) => {
      const place = places.get(entry.id);
      return presentSummary(entry, client, links, place === undefined ? null : toQueuePlace(place));
    });
    return jsonAnswer(c, { jobs, nextCursor, feedCursor } satisfies JobList);
  })
  .get(paths.jobCounts, answersJson, async (c) => {
    const clients = clientsOf(c);
    checkCountQuery(c);
    const filter = filterOf(c);
    const counts = await Promise.all(clients.map((client) => catalogStub(c.env, client).count(filter)));
    return jsonAnswer(c, addCounts(counts) satisfies JobCounts);
  });
