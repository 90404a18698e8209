import { Hono } from "hono";
import type { Health } from "../../schemas/limits.ts";
import { paths } from "../../schemas/paths.ts";
import type { FieldError } from "../../schemas/problem.ts";
import { type Config, configOf } from "../env.ts";
import type { HttpEnv } from "./http-env.ts";
import { answersJson, jsonAnswer } from "./json-answer.ts";
import { configuredModels, laneReports } from "./lanes.ts";
import { PUBLIC_VARY } from "./negotiated.ts";
import { noQuery } from "./openapi/parameters.ts";
import { queryCheck } from "./query.ts";
import { VERSION } from "./version.ts";

const checkQuery = queryCheck(noQuery);

type Told = Omit<Health, "service" | "version" | "time">;

function misconfiguredHealth(errors: readonly FieldError[]): Told {
  const keyConfigured = !errors.some((error) => error.path === "QWEN_API_KEY");
  const upstream = { region: null, host: null, keyConfigured };
  return { status: "misconfigured", upstream, lanes: [], authMode: null, problems: [...errors] };
}

/** Degraded: a lane is blocked, or does not answer. */
async function configuredHealth(env: Env, config: Config): Promise<Told> {
  const { region, upstreamHost, authMode } = config;
  const reports = await laneReports(env, config, configuredModels(config));
  const lanes = reports
    .filter((report) => report !== null)
    .map(({ model, queued, inProgress, blocked }) => ({ model, queued, inProgress, blocked }));
  const isOk = lanes.length === reports.length && lanes.every((lane) => lane.blocked === null);
  const upstream = { region, host: upstreamHost, keyConfigured: true };
  return { status: isOk ? "ok" : "degraded", upstream, lanes, authMode };
}

/** Public. A wrong setting is said here with its name, never its value. */
export const healthRoutes = new Hono<HttpEnv>().get(paths.health, answersJson, async (c) => {
  checkQuery(c);
  const read = configOf(c.env);
  const { status, ...rest } = read.ok ? await configuredHealth(c.env, read.config) : misconfiguredHealth(read.errors);
  const time = new Date().toISOString();
  const body: Health = { status, service: "darkroom", version: VERSION, time, ...rest };
  return jsonAnswer(c, body, status === "misconfigured" ? 503 : 200, {
    Vary: PUBLIC_VARY,
    // A page of any origin may learn that the service answers: so its script can tell a refused origin from a server that is down.
    "Cross-Origin-Resource-Policy": "cross-origin",
  });
});
