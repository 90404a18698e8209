import { z } from "zod";
import { JobCounts, JobList, JobStatus, type JobSummary, MAX_METADATA_KEY_CHARS } from "../../schemas/job.ts";
import { paths, WORKFLOWS } from "../../schemas/paths.ts";
import { searchWords } from "../../schemas/search-text.ts";
import { givenWords } from "../allowed-words.ts";
import type { CatalogEntry, JobFilter, ListQuery } from "../catalog/contract.ts";
import { decodeListCursor, encodeListCursor, type ListPosition, newestFirst } from "../catalog/core/cursors.ts";
import { addCounts } from "../catalog/core/job-filter.ts";
import type { Viewer } from "../job/contract.ts";
import { presentSummary } from "../job/core/present.ts";
import type { Place } from "../lane/contract.ts";
import { toQueuePlace } from "../lane/core/place.ts";
import { catalogStub } from "../stubs.ts";
import { jsonAnswer } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { linksFor } from "./job-answers.ts";
import { lanePlaces } from "./lanes.ts";
import { json } from "./openapi/answers.ts";
import { choice, choices, documented, type QueryOf, type QueryParameter, queryProblem, text, whole } from "./query.ts";
import { clientRoute, type Route } from "./route.ts";

/** Every job is searched for each word and each metadata entry. This many are enough to tell jobs apart. */
export const MAX_WORDS = 8;
const MAX_Q_CHARS = 200;
const MAX_METADATA_FILTERS = 5;

interface Owned {
  readonly client: string;
  readonly entry: CatalogEntry;
}

const METADATA_PREFIX = "metadata.";

function words(description: string): QueryParameter<string[]> {
  const given = text(MAX_Q_CHARS, description);
  return {
    ...given,
    read: (texts, key) => {
      const search = given.read(texts, key);
      const found = search === null ? [] : searchWords(search);
      if (found.length > MAX_WORDS) throw queryProblem(key, `must have ${MAX_WORDS} words at most`);
      return found;
    },
  };
}

function moment(description: string): QueryParameter<number | null> {
  const schema = z.iso.datetime({ offset: true });
  return {
    schema: schema.optional().meta({ description }),
    read: ([given], key) => {
      if (given === undefined) return null;
      if (schema.safeParse(given).success) return Date.parse(given);
      throw queryProblem(key, `must be a time like 2026-11-23T12:00:00Z; got ${givenWords(given)}`);
    },
  };
}

/** The filters of a list and of its counts. */
const FILTERS = {
  status: choices(JobStatus.options, "Repeated, or parted by commas; empty, it is no filter."),
  workflow: choice(WORKFLOWS, "Only jobs of this workflow."),
  model: text(100, "Only jobs of this model."),
  q: words("Words that the prompt must contain, in any order and script; case, accents and full width do not matter."),
  pinned: choice(["true", "false"], "Only pinned jobs, or only those that are not."),
  before: moment("Only jobs submitted before this moment."),
  "metadata.KEY": documented(
    z.string(),
    "Only jobs whose metadata has this value under KEY; several of them must all hold. Values are compared as text.",
  ),
};

const LIST_QUERY = {
  ...FILTERS,
  limit: whole({ min: 1, max: 100, fallback: 20 }, "20 when absent."),
  cursor: text(500, "`nextCursor` of the page before."),
};

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

function filterOf(c: HttpContext, query: QueryOf<typeof FILTERS>): JobFilter {
  const { status, workflow, model, q, before, pinned } = query;
  const isPinned = pinned === null ? null : pinned === "true";
  return { status, workflow, model, words: q, metadata: metadataOf(c), pinned: isPinned, beforeMs: before };
}

/** The clients whose jobs are listed: the asker itself; for the operator every client, or that of `?client=`. */
export function clientsOf(c: HttpContext, viewer: Viewer): readonly string[] {
  return viewer === null ? Object.keys(c.get("config").clientTokens) : [viewer];
}

function position({ entry }: Owned) {
  return { createdAtMs: Date.parse(entry.createdAt), id: entry.id };
}

/**
 * One page over the jobs of one or several clients. A cursor is a place in the one order that all catalogs share, so it holds
 * for each of them. A page stops at the newest of the positions at which a catalog's answer stopped.
 */
export async function pageOf(c: HttpContext, clients: readonly string[], query: ListQuery) {
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
  // An object of an older version does not answer its feed's position.
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
    return lanePlaces(c, model, ids);
  });
  return new Map((await Promise.all(asked)).flatMap((places) => Object.entries(places)));
}

/** Lists, newest first, and the number of jobs of each kind. */
export const LIST_ROUTES: readonly Route[] = [
  clientRoute(
    {
      method: "GET",
      path: paths.jobs,
      id: "listJobs",
      tag: "Jobs",
      summary: "The client's jobs, newest first",
      description:
        "Pages neither repeat nor leave out jobs while these move. The operator's list is everyone's, or that of `?client=`.",
      json: true,
      query: LIST_QUERY,
      answers: { "200": json("One page.", JobList, "jobList") },
    },
    async (c, { viewer, query }) => {
      const { limit, cursor } = query;
      const asked = { ...filterOf(c, query), limit, cursor };
      const { page, nextCursor, feedCursor } = await pageOf(c, clientsOf(c, viewer), asked);
      const places = await placesOf(c, page);
      const links = linksFor(c);
      const jobs: JobSummary[] = page.map(({ client, entry }) => {
        const place = places.get(entry.id);
        return presentSummary(entry, client, links, place === undefined ? null : toQueuePlace(place));
      });
      return jsonAnswer(c, { jobs, nextCursor, feedCursor } satisfies JobList);
    },
  ),
  clientRoute(
    {
      method: "GET",
      path: paths.jobCounts,
      id: "countJobs",
      tag: "Jobs",
      summary: "How many jobs there are of each kind",
      description:
        "By status, model and metadata, for a form that shows filters with counts; each kind under all filters but its own. Takes the list's filters.",
      json: true,
      query: FILTERS,
      answers: { "200": json("The counts.", JobCounts, "jobCounts") },
    },
    async (c, { viewer, query }) => {
      const filter = filterOf(c, query);
      const counts = await Promise.all(clientsOf(c, viewer).map((client) => catalogStub(c.env, client).count(filter)));
      return jsonAnswer(c, addCounts(counts) satisfies JobCounts);
    },
  ),
];
