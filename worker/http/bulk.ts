import { BulkBody, type BulkFilter, BulkResult, MOST_BULK_JOBS } from "../../schemas/bulk.ts";
import { paths } from "../../schemas/paths.ts";
import { searchWords } from "../../schemas/search-text.ts";
import type { JobFilter } from "../catalog/contract.ts";
import type { Viewer } from "../job/contract.ts";
import { jobStub } from "../stubs.ts";
import { loggedOfOperator } from "./access.ts";
import { faultsProblem, jsonAnswer, problemOf } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { jobProblem } from "./job-answers.ts";
import { type AskedJob, retryHeaders, retryWithinLimit, viewOf } from "./jobs.ts";
import { clientsOf, MAX_WORDS, pageOf } from "./list.ts";
import { json } from "./openapi/answers.ts";
import { clientRoute, type Route } from "./route.ts";
import { idempotencyKeyOf } from "./submit.ts";
import { JSON_BODY_PROBLEMS, jsonBody } from "./submit-body.ts";

/** How many jobs are acted on at the same time. Each is a call to an object of its own. */
const AT_ONCE = 10;

function refused(path: string, message: string) {
  return faultsProblem("invalid_request", [{ path, message }], (named) => named);
}

/** The filter in the form that catalogs take. */
function jobFilter(filter: BulkFilter): JobFilter {
  if (Object.keys(filter).length === 0)
    throw refused("/filter", "must have at least one part: an empty filter would match every job");
  const words = filter.q === undefined ? [] : searchWords(filter.q);
  if (words.length > MAX_WORDS) throw refused("/filter/q", `must have ${MAX_WORDS} words at most`);
  return {
    status: filter.status ?? null,
    workflow: filter.workflow ?? null,
    model: filter.model ?? null,
    words,
    metadata: Object.entries(filter.metadata ?? {}).map(([key, value]) => ({ key, value: String(value) })),
    pinned: filter.pinned ?? null,
    beforeMs: filter.before === undefined ? null : Date.parse(filter.before),
  };
}

/** The jobs of this call, and the cursor of the next one. */
async function matchedJobs(c: HttpContext, viewer: Viewer, { ids, filter, cursor: given }: BulkBody) {
  const cursor = given ?? null;
  if ((ids === undefined) === (filter === undefined)) throw refused("/ids", "or filter must be given, but not both");
  if (ids !== undefined) {
    if (cursor !== null) throw refused("/cursor", "goes with a filter only: all ids are in one call");
    return { ids: [...new Set(ids)], nextCursor: null };
  }
  const query = { ...jobFilter(filter ?? {}), limit: MOST_BULK_JOBS, cursor };
  const { page, nextCursor } = await pageOf(c, clientsOf(c, viewer), query);
  return { ids: page.map(({ entry }) => entry.id), nextCursor };
}

async function act(c: HttpContext, action: BulkBody["action"], asked: AskedJob): Promise<void> {
  switch (action) {
    case "cancel":
      viewOf(await asked.rpc.cancel(asked.viewer));
      return;
    case "retry":
      await retryWithinLimit(c, asked);
      return;
    case "delete": {
      const answered = await asked.rpc.remove(asked.viewer);
      if (!answered.ok) throw jobProblem(answered);
      return;
    }
    case "pin":
    case "unpin":
      viewOf(await asked.rpc.patch(asked.viewer, { pinned: action === "pin" }));
      return;
    default:
      throw new Error(`no such action: ${JSON.stringify(action satisfies never)}`);
  }
}

/** Acts on many jobs, on each as the route for one job does. */
export const BULK_ROUTES: readonly Route[] = [
  clientRoute(
    {
      method: "POST",
      path: paths.jobsBulk,
      id: "actOnJobs",
      tag: "Jobs",
      summary: "Cancels, retries, deletes, pins or unpins many jobs",
      description:
        "The jobs are given by `ids` or by a `filter`, at most 100 a call; `nextCursor` leads to the next ones. Each job is acted on as by its own route, and one that refuses stops no other. A call that was cut can be repeated; one that retries, with its `Idempotency-Key`, so that no job is retried twice. `dryRun` only counts. A client acts on its own jobs, the operator on everyone's or on those of `?client=`.",
      json: true,
      headers: retryHeaders,
      body: {
        content: {
          "application/json": {
            schema: BulkBody,
            example: { action: "retry", filter: { status: ["failed"], model: "qwen-image-max" }, dryRun: true },
          },
        },
      },
      answers: { "200": json("The jobs that were acted on, and why others were not.", BulkResult, "bulkResult") },
      problems: [...JSON_BODY_PROBLEMS, "invalid_idempotency_key"],
    },
    async (c, { asker, viewer }) => {
      idempotencyKeyOf(c);
      const body = await jsonBody(c, BulkBody);
      const { ids, nextCursor } = await matchedJobs(c, viewer, body);
      const result: BulkResult = { matched: ids.length, done: 0, refused: [], nextCursor };
      if (body.dryRun === true) return jsonAnswer(c, result);
      const waiting = [...ids];
      const one = async (): Promise<void> => {
        for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
          try {
            // A job that does not answer is refused as `overloaded`; the action may still be carried out.
            await act(c, body.action, { id, viewer, rpc: jobStub(c.env, id) });
            result.done += 1;
          } catch (error) {
            result.refused.push({ id, code: problemOf(c, error as Error).code });
          }
        }
      };
      const { action, filter = null } = body;
      const entry = { action: "jobs.bulk", target: viewer ?? "*", details: { action, filter, ids } } as const;
      await loggedOfOperator(c, asker, entry, () => Promise.all(Array.from({ length: AT_ONCE }, one)));
      result.refused.sort((a, b) => ids.indexOf(a.id) - ids.indexOf(b.id));
      return jsonAnswer(c, result);
    },
  ),
];
