import type { JobStatus } from "../../schemas/job.ts";
import { Health, type LaneReport, Limits, type ModelInfo } from "../../schemas/limits.ts";
import { paths } from "../../schemas/paths.ts";
import type { FieldError } from "../../schemas/problem.ts";
import { within } from "../bounds.ts";
import { type Config, configOf } from "../env.ts";
import type { Place } from "../lane/contract.ts";
import { configuredModels, isInUse, laneName } from "../lane/lane-name.ts";
import { fromMicros } from "../spend/core/money.ts";
import { unitMicrosOf } from "../spend/prices.ts";
import { catalogStub, laneStub } from "../stubs.ts";
import { jsonAnswer, PUBLIC_VARY } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { json } from "./openapi/answers.ts";
import { VERSION } from "./openapi/document.ts";
import { clientRoute, publicRoute, type Route } from "./route.ts";

/** The longest wait for a lane in a read of something else. */
const READ_WAIT_MS = 300;
/** A report of this age is shown without a call: health is read often, and a lane has jobs to serve. */
const FRESH_MS = 1500;
/**
 * The same for a lane that is not configured and had nothing to show: there are twenty such models, and most are never used.
 */
const QUIET_FRESH_MS = 15_000;
/** A lane that did not answer in time is asked again after this: a health probe every second must not call twenty lanes each time. */
const ASK_AGAIN_MS = 5_000;
/** A request keeps waiting this long for an answer that is too late for it, so that the next request knows it. */
const LATE_REPORT_MS = 10_000;

interface Kept {
  readonly report: LaneReport;
  readonly atMs: number;
}

// Kept for this isolate, by lane. Plain data only: one request cannot await another request's promise.
const reports = new Map<string, Kept>();
/** When a lane last did not answer in time; the entry is removed once it answers. */
const askedInVainAtMs = new Map<string, number>();
/** The last known places of waiting jobs, by job id, the longest known first. `askedAtMs`: when the lane was asked for it. */
const places = new Map<string, { readonly place: Place; readonly askedAtMs: number }>();
/** An older place says nothing any more: the job may have run and wait again since. In ms. */
const PLACE_KEPT_MS = 10 * 60_000;
/** About 1 MB. */
const MOST_PLACES = 2_000;

/**
 * The report of a lane; the last known one when the lane does not answer within `READ_WAIT_MS`, and null when none is known.
 * A lane that did not answer is asked again after `ASK_AGAIN_MS`.
 */
async function reportOf(c: HttpContext, lane: string, quietFreshMs = FRESH_MS): Promise<LaneReport | null> {
  const known = reports.get(lane);
  const freshMs = known !== undefined && !isInUse(known.report) ? quietFreshMs : FRESH_MS;
  if (known !== undefined && Date.now() - known.atMs < freshMs) return known.report;
  if (Date.now() - (askedInVainAtMs.get(lane) ?? Number.NEGATIVE_INFINITY) < ASK_AGAIN_MS) return known?.report ?? null;
  const asked = laneStub(c.env, lane)
    .report()
    .then((report) => {
      knowReport(lane, report);
      return report;
    });
  try {
    return await within(READ_WAIT_MS, "the lane", asked);
  } catch (error) {
    console.error({ event: "lane_unavailable", lane, error: String(error) });
    askedInVainAtMs.set(lane, Date.now());
    c.executionCtx.waitUntil(within(LATE_REPORT_MS, "the lane", asked).catch(() => undefined));
    return known?.report ?? null;
  }
}

/** Stores a newer report in the cache that health and limits read. */
export function knowReport(lane: string, report: LaneReport): void {
  reports.set(lane, { report, atMs: Date.now() });
  askedInVainAtMs.delete(lane);
}

/**
 * The reports of these models' lanes, in the models' order, null where none is known; then those of all other lanes that are
 * in use. A lane that comes into use is shown within `QUIET_FRESH_MS`.
 */
async function laneReports(c: HttpContext, config: Config, models: readonly string[]): Promise<(LaneReport | null)[]> {
  const others = config.modelTable.names.filter((model) => !models.includes(model));
  const [asked, found] = await Promise.all([
    Promise.all(models.map((model) => reportOf(c, laneName(config, model)))),
    Promise.all(others.map((model) => reportOf(c, laneName(config, model), QUIET_FRESH_MS))),
  ]);
  return [...asked, ...found.filter((report) => report !== null && isInUse(report))];
}

/** Replaces what is known of the asked jobs, unless a later question was answered before: one that is not in the answer has no place. */
function knowPlaces(jobIds: readonly string[], answer: Readonly<Record<string, Place>>, askedAtMs: number): void {
  for (const id of jobIds) {
    if ((places.get(id)?.askedAtMs ?? 0) > askedAtMs) continue;
    places.delete(id);
    const place = answer[id];
    if (place !== undefined) places.set(id, { place, askedAtMs });
  }
  for (const id of places.keys()) {
    if (places.size <= MOST_PLACES) return;
    places.delete(id);
  }
}

/**
 * The places of waiting jobs in their lane, by one call; the last known ones, of any earlier call for these jobs, when the lane
 * does not answer in time.
 */
export async function lanePlaces(
  c: HttpContext,
  model: string,
  jobIds: readonly string[],
): Promise<Readonly<Record<string, Place>>> {
  const lane = laneName(c.get("config"), model);
  const askedAtMs = Date.now();
  const asked = laneStub(c.env, lane)
    .places([...jobIds])
    .then((answer) => {
      knowPlaces(jobIds, answer, askedAtMs);
      return answer;
    });
  try {
    return await within(READ_WAIT_MS, "the lane", asked);
  } catch (error) {
    console.error({ event: "lane_unavailable", lane, error: String(error) });
    c.executionCtx.waitUntil(within(LATE_REPORT_MS, "the lane", asked).catch(() => undefined));
    return Object.fromEntries(
      jobIds.flatMap((id) => {
        const known = places.get(id);
        return known === undefined || Date.now() - known.askedAtMs > PLACE_KEPT_MS ? [] : [[id, known.place]];
      }),
    );
  }
}

const UNFINISHED: readonly JobStatus[] = ["queued", "running", "retrying"];
/** Enough entries to find every model that a client's jobs wait for. */
const LOOK_AT_MOST = 100;

/** The models that a client's unfinished jobs wait for. */
async function waitedFor(c: HttpContext, client: string | null): Promise<string[]> {
  if (client === null) return [];
  const query = { status: UNFINISHED, workflow: null, limit: LOOK_AT_MOST, cursor: null };
  try {
    const answer = await within(READ_WAIT_MS, "the catalog", catalogStub(c.env, client).list(query));
    return answer.ok ? answer.entries.map((entry) => entry.model) : [];
  } catch (error) {
    // The limits are shown nevertheless, with fewer lanes.
    console.error({ event: "catalog_unavailable", client, error: String(error) });
    return [];
  }
}

/** Health without its constant fields. */
type HealthFacts = Omit<Health, "service" | "version" | "time">;

function misconfiguredHealth(errors: readonly FieldError[]): HealthFacts {
  const keyConfigured = !errors.some((error) => error.path === "QWEN_API_KEY");
  const upstream = { region: null, host: null, keyConfigured };
  return { status: "misconfigured", upstream, lanes: [], authMode: null, problems: [...errors] };
}

/** The status is degraded when a lane is blocked, or does not answer and no report of it is known. */
async function configuredHealth(c: HttpContext, config: Config): Promise<HealthFacts> {
  const { region, upstreamHost, authMode } = config;
  const reports = await laneReports(c, config, configuredModels(config));
  const lanes = reports
    .filter((report) => report !== null)
    .map(({ model, queued, inProgress, blocked, paused }) => ({
      model,
      queued,
      inProgress,
      blocked,
      paused: paused ?? null,
    }));
  const isOk = lanes.length === reports.length && lanes.every((lane) => lane.blocked === null);
  const upstream = { region, host: upstreamHost, keyConfigured: true };
  return { status: isOk ? "ok" : "degraded", upstream, lanes, authMode };
}

/** Health answers even while a variable is missing or wrong: it names the variable, never its value. */
export const HEALTH_ROUTES: readonly Route[] = [
  publicRoute(
    {
      method: "GET",
      path: paths.health,
      id: "getHealth",
      tag: "Service",
      summary: "Whether all is well",
      json: true,
      answers: {
        "200": json("`ok`, or `degraded` while a lane is blocked.", Health, "health"),
        "503": json("`misconfigured`: `problems` names the variable and what is wrong.", Health, "misconfiguredHealth"),
      },
    },
    async (c) => {
      const read = configOf(c.env);
      const facts = read.ok ? await configuredHealth(c, read.config) : misconfiguredHealth(read.errors);
      const { status, ...rest } = facts;
      const time = new Date().toISOString();
      const body: Health = { status, service: "darkroom", version: VERSION, time, ...rest };
      return jsonAnswer(c, body, status === "misconfigured" ? 503 : 200, {
        Vary: PUBLIC_VARY,
        // Pages of any origin may read this, so that a script can tell a refused origin from a server that is down.
        "Cross-Origin-Resource-Policy": "cross-origin",
      });
    },
  ),
];

/** What an image of the model costs; null when that is not known. */
function priceShown(config: Config, model: string): ModelInfo["price"] {
  const perImage = unitMicrosOf(config, model, null);
  if (perImage === null) return null;
  const extended = unitMicrosOf(config, model, true);
  return {
    currency: config.currency,
    perImage: fromMicros(perImage),
    perImageExtended: extended === null || extended === perImage ? null : fromMicros(extended),
  };
}

export const LIMITS_ROUTES: readonly Route[] = [
  clientRoute(
    {
      method: "GET",
      path: paths.limits,
      id: "getLimits",
      tag: "Service",
      summary: "The lanes now, and what every model takes",
      description:
        "Of the lanes: those of the default models, of models with a limit, and all others that have jobs or that the operator paused or limited. One that comes into use is there after 15 s at most, and at once when the client's own jobs wait for it.",
      json: true,
      answers: { "200": json("The limits.", Limits, "limits") },
    },
    async (c, { viewer }) => {
      const config = c.get("config");
      const waiting = await waitedFor(c, viewer);
      const found = await laneReports(c, config, [...new Set([...configuredModels(config), ...waiting])]);
      const lanes = found.filter((report) => report !== null);
      return jsonAnswer(c, {
        lanes,
        models: config.modelTable.infos(config).map((info) => ({ ...info, price: priceShown(config, info.model) })),
      } satisfies Limits);
    },
  ),
];
