import { z } from "zod";
import { UNFINISHED_STATUSES } from "../../schemas/job.ts";
import type { LaneReport } from "../../schemas/limits.ts";
import {
  ClientState,
  CommandedLane,
  LimitBody,
  OperatorEntries,
  type OperatorEntry,
  PauseBody,
  ResumeBody,
} from "../../schemas/operator.ts";
import { paths } from "../../schemas/paths.ts";
import { within } from "../bounds.ts";
import type { CatalogRpc } from "../catalog/contract.ts";
import { MODEL_NAME } from "../dashscope/models.ts";
import { CLIENT_NAME } from "../env.ts";
import type { LaneMetrics } from "../lane/contract.ts";
import type { LaneCommand } from "../lane/core/control.ts";
import { configuredModels, isInUse, laneName } from "../lane/lane-name.ts";
import { catalogStub, laneStub, operatorLogStub } from "../stubs.ts";
import { logged } from "./access.ts";
import { answer, faultsProblem, jsonAnswer, PRIVATE_VARY, ProblemError } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { METRICS_TYPE, metricsText } from "./core/metrics-text.ts";
import { knowReport } from "./lanes.ts";
import { headers, json, shown } from "./openapi/answers.ts";
import { whole } from "./query.ts";
import { operatorRoute, type Route } from "./route.ts";
import { JSON_BODY_PROBLEMS, jsonBody } from "./submit-body.ts";
import { forgetReserved } from "./submit-limits.ts";
import { namedClients } from "./usage.ts";

const MOST_ENTRIES = 100;
/** An end that is further ahead is refused as a mistake. */
const FARTHEST_UNTIL_MS = 366 * 86_400_000;

/** The longest wait of a command, in ms, for the lane's report before it. */
const REPORT_WITHIN_MS = 5_000;
/** How many unfinished jobs of a client are read in one call. */
const UNFINISHED_AT_ONCE = 500;

const LANE_PROBLEMS = [...JSON_BODY_PROBLEMS, "model_not_found"] as const;
const CLIENT_PROBLEMS = [...JSON_BODY_PROBLEMS, "client_not_found"] as const;

/** The requested end in ms; null when there is none. Refuses one that has passed or is more than a year ahead. */
function endOf(until: string | null | undefined): number | null {
  if (until === null || until === undefined) return null;
  const atMs = Date.parse(until);
  const nowMs = Date.now();
  if (atMs > nowMs && atMs <= nowMs + FARTHEST_UNTIL_MS) return atMs;
  throw invalidUntil("must be in the future, within a year");
}

function invalidUntil(message: string): ProblemError {
  return faultsProblem("invalid_request", [{ path: "/until", message }], (path) => path);
}

const UNTIL_ALONE =
  "goes with starts, periodMs or inProgress: a body without them restores the deployment's own quota, which has no end";

/** A model of the table, or one that was removed from it while its lane is in use: its jobs may still wait there. */
async function modelOf(c: HttpContext): Promise<string> {
  const model = c.req.param("model") ?? "";
  if (c.get("config").modelTable.facts(model) !== null) return model;
  if (MODEL_NAME.test(model)) {
    const asked = laneStub(c.env, laneName(c.get("config"), model)).report();
    if (isInUse(await within(REPORT_WITHIN_MS, "the lane", asked))) return model;
  }
  throw new ProblemError("model_not_found", "No model has this name; GET /api/limits lists them.");
}

/** A client that a setting names. When resuming, any valid name is taken: its jobs may still wait after the setting lost the name. */
function namedClient(c: HttpContext, isResumed: boolean): string {
  const client = c.req.param("client") ?? "";
  if (namedClients(c.get("config")).includes(client) || (isResumed && CLIENT_NAME.test(client))) return client;
  throw new ProblemError(
    "client_not_found",
    "No setting names this client: CLIENT_TOKENS, CLIENT_BUDGETS or CLIENT_WEBHOOKS.",
  );
}

type Action = Pick<OperatorEntry, "who" | "action" | "reason">;

/** The pause or limit that the command ends or replaces; null for none, undefined when the lane does not answer in time. */
async function replacedBy(
  c: HttpContext,
  model: string,
  kind: LaneCommand["kind"],
): Promise<CommandedLane["replaced"] | undefined> {
  try {
    const asked = laneStub(c.env, laneName(c.get("config"), model)).report();
    const { paused, limit, quota } = await within(REPORT_WITHIN_MS, "the lane", asked);
    if (kind === "pause" || kind === "resume") return paused ?? null;
    return limit === null || limit === undefined ? null : { ...limit, quota };
  } catch (error) {
    // The command itself meets the same failure and answers it.
    console.error({ event: "lane_unavailable", lane: model, error: String(error) });
    return undefined;
  }
}

/** Sends a lane its command, and answers the report after it, with what the command replaces. */
async function commandLane(c: HttpContext, action: Action, command: LaneCommand): Promise<Response> {
  const givenAtMs = Date.now();
  const model = await modelOf(c);
  const { kind, ...asked } = command;
  const replaced = await replacedBy(c, model, kind);
  const details = replaced == null ? asked : { ...asked, replaced };
  const report = await logged(c, { ...action, target: model, details }, () =>
    control(c, model, { ...command, givenAtMs }),
  );
  return jsonAnswer(c, { ...report, ...(replaced === undefined ? {} : { replaced }) } satisfies CommandedLane);
}

async function control(c: HttpContext, model: string, command: LaneCommand): Promise<LaneReport> {
  const lane = laneName(c.get("config"), model);
  const report = await laneStub(c.env, lane).control(command);
  knowReport(lane, report);
  return report;
}

/** The models of the table, and those of the client's unfinished jobs: one of these may have been removed from the table. */
async function modelsFor(c: HttpContext, client: string): Promise<ReadonlySet<string>> {
  const models = new Set(c.get("config").modelTable.names);
  const catalog = catalogStub(c.env, client);
  const unfinished = { status: UNFINISHED_STATUSES, workflow: null, limit: UNFINISHED_AT_ONCE };
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<CatalogRpc["list"]>> = await catalog.list({ ...unfinished, cursor });
    if (!page.ok) throw new Error("the catalog does not know its own cursor");
    for (const { model } of page.entries) models.add(model);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return models;
}

/**
 * Pauses or resumes a client: its catalog grants or refuses submissions, and the lane of each model holds or serves its jobs.
 * After a request that breaks off midway the client is paused in part; repeating the request completes it.
 */
async function commandClient(c: HttpContext, action: Action, pause: { untilMs: number | null } | null) {
  const client = namedClient(c, pause === null);
  const catalog = catalogStub(c.env, client);
  const { untilMs = null } = pause ?? {};
  const reason = action.reason ?? "";
  const sinceMs = Date.now();
  const command: LaneCommand =
    pause === null ? { kind: "resumeClient", client } : { kind: "pauseClient", client, reason, untilMs };
  const details = pause === null ? {} : { untilMs };
  await logged(c, { ...action, target: client, details }, async () => {
    await catalog.pause(pause === null ? null : { reason, sinceMs, untilMs }, sinceMs);
    forgetReserved(client);
    const models = await modelsFor(c, client);
    await Promise.all([...models].map((model) => control(c, model, { ...command, givenAtMs: sinceMs })));
  });
  const until = untilMs === null ? null : new Date(untilMs).toISOString();
  const paused = pause === null ? null : { reason, since: new Date(sinceMs).toISOString(), until };
  return jsonAnswer(c, { client, paused } satisfies ClientState);
}

const bodyDoc = (schema: z.ZodType, example: object) => ({ content: { "application/json": { schema, example } } });

/** The longest wait of a scrape, in ms: objects of lanes and clients that were not called for a while must wake. */
const METRICS_WITHIN_MS = 2_000;

async function metricsAnswer(c: HttpContext): Promise<Response> {
  const config = c.get("config");
  const asked = config.modelTable.names.map((model) => {
    const metrics = laneStub(c.env, laneName(config, model)).metrics();
    return within(METRICS_WITHIN_MS, "the lane", metrics).catch(() => null);
  });
  const clients = namedClients(config).map(async (client) => {
    const metrics = within(METRICS_WITHIN_MS, "the catalog", catalogStub(c.env, client).metrics());
    return { client, metrics: await metrics.catch(() => null) };
  });
  const shown = configuredModels(config);
  const wasUsed = ({ report, tally }: LaneMetrics) => isInUse(report) || Object.keys(tally.attempts).length > 0;
  const lanes = (await Promise.all(asked))
    .filter((metrics) => metrics !== null)
    .filter((metrics) => shown.includes(metrics.report.model) || wasUsed(metrics));
  const text = metricsText(lanes, await Promise.all(clients));
  return answer(c, text, 200, { "Content-Type": METRICS_TYPE, Vary: PRIVATE_VARY });
}

/** Lanes' pauses and quotas, clients' pauses, the operator's log and the metrics. */
export const OPERATE_ROUTES: readonly Route[] = [
  operatorRoute(
    {
      method: "POST",
      path: paths.lanePause(":model"),
      id: "pauseLane",
      tag: "Operate",
      summary: "Pauses a lane: nothing of this model starts",
      description:
        "Waiting jobs keep their places and show the reason. After the answer nothing starts; the answer waits for attempts that may still begin, ten seconds at most. Running attempts continue. The pause survives deploys; it ends at `until` or with a resume.",
      json: true,
      body: bodyDoc(PauseBody, { reason: "the account is being moved", until: null }),
      answers: { "200": json("The lane after the change.", CommandedLane, "pausedLane") },
      problems: LANE_PROBLEMS,
    },
    async (c, { who }) => {
      const { reason, until } = await jsonBody(c, PauseBody);
      return commandLane(c, { who, action: "lane.pause", reason }, { kind: "pause", reason, untilMs: endOf(until) });
    },
  ),
  operatorRoute(
    {
      method: "POST",
      path: paths.laneResume(":model"),
      id: "resumeLane",
      tag: "Operate",
      summary: "Ends a lane's pause: its jobs continue in their old order",
      json: true,
      body: { required: false, ...bodyDoc(ResumeBody, {}) },
      answers: { "200": json("The lane after the change.", CommandedLane, "resumedLane") },
      problems: LANE_PROBLEMS,
    },
    async (c, { who }) => {
      const { reason = null } = await jsonBody(c, ResumeBody);
      return commandLane(c, { who, action: "lane.resume", reason }, { kind: "resume" });
    },
  ),
  operatorRoute(
    {
      method: "PATCH",
      path: paths.lane(":model"),
      id: "limitLane",
      tag: "Operate",
      summary: "Changes the quota of a lane",
      description:
        "The quota takes effect at once and survives deploys, and the pace is learned again. It takes the place of an earlier limit as a whole: fields that are absent have the deployment's values, and `replaced` shows what was in force before. A body with a reason alone restores the deployment's own quota.",
      json: true,
      body: bodyDoc(LimitBody, { starts: 4, periodMs: 60_000, reason: "the quota was raised" }),
      answers: { "200": json("The lane after the change.", CommandedLane, "limitedLane") },
      problems: LANE_PROBLEMS,
    },
    async (c, { who }) => {
      const { reason, until, starts, periodMs, inProgress } = await jsonBody(c, LimitBody);
      const change = {
        ...(starts === undefined ? {} : { starts }),
        ...(periodMs === undefined ? {} : { periodMs }),
        ...(inProgress === undefined ? {} : { inProgress }),
      };
      const untilMs = endOf(until);
      const isNone = Object.keys(change).length === 0;
      if (isNone && untilMs !== null) throw invalidUntil(UNTIL_ALONE);
      const laneCommand: LaneCommand = isNone ? { kind: "unlimit" } : { kind: "limit", change, reason, untilMs };
      return commandLane(c, { who, action: "lane.limit", reason }, laneCommand);
    },
  ),
  operatorRoute(
    {
      method: "POST",
      path: paths.clientPause(":client"),
      id: "pauseClient",
      tag: "Operate",
      summary: "Pauses a client: none of its jobs starts, and its submissions are refused",
      description:
        "Submissions and retries are refused with `client_paused`, by other instances of the service after ten seconds at most. Queued jobs wait and show the reason; running attempts continue. The pause survives deploys; it ends at `until` or with a resume. A failed call may be repeated.",
      json: true,
      body: bodyDoc(PauseBody, { reason: "an unpaid bill", until: null }),
      answers: { "200": json("The client after the change.", ClientState, "pausedClient") },
      problems: CLIENT_PROBLEMS,
    },
    async (c, { who }) => {
      const { reason, until } = await jsonBody(c, PauseBody);
      return commandClient(c, { who, action: "client.pause", reason }, { untilMs: endOf(until) });
    },
  ),
  operatorRoute(
    {
      method: "POST",
      path: paths.clientResume(":client"),
      id: "resumeClient",
      tag: "Operate",
      summary: "Ends a client's pause: its jobs continue in their old order, in turn with other clients'",
      json: true,
      body: { required: false, ...bodyDoc(ResumeBody, {}) },
      answers: { "200": json("The client after the change.", ClientState, "resumedClient") },
      problems: CLIENT_PROBLEMS,
    },
    async (c, { who }) => {
      const { reason = null } = await jsonBody(c, ResumeBody);
      return commandClient(c, { who, action: "client.resume", reason }, null);
    },
  ),
  operatorRoute(
    {
      method: "GET",
      path: paths.metrics,
      id: "getMetrics",
      tag: "Operate",
      summary: "Metrics for Prometheus",
      description:
        "Prometheus text format 0.0.4. It covers the lanes of the default models, of those in `LANE_LIMITS` and of every model that was ever used, and the clients that a setting names. What does not answer within 2 s is left out of the scrape.",
      answers: {
        "200": { description: "The metrics.", headers: headers(), content: { "text/plain": shown(z.string()) } },
      },
    },
    metricsAnswer,
  ),
  operatorRoute(
    {
      method: "GET",
      path: paths.operatorLog,
      id: "getOperatorLog",
      tag: "Operate",
      summary: "What operators did, newest first",
      description: "Each entry is written before its action; nothing changes or removes one.",
      json: true,
      query: {
        cursor: whole({ min: 1, max: Number.MAX_SAFE_INTEGER, fallback: null }, "`nextCursor` of the page before."),
        limit: whole({ min: 1, max: MOST_ENTRIES, fallback: 20 }, "20 when absent."),
      },
      answers: { "200": json("One page.", OperatorEntries, "operatorEntries") },
    },
    async (c, { query }) => {
      const log = operatorLogStub(c.env);
      return jsonAnswer(c, await log.list(query.cursor, query.limit));
    },
  ),
];
