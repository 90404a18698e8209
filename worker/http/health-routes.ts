import { Hono } from "hono";
import type { Health } from "../../schemas/limits.ts";
import { paths } from "../../schemas/paths.ts";
import { configOf } from "../env.ts";
import type { HttpEnv } from "./http-env.ts";
import { answersJson, jsonAnswer } from "./json-answer.ts";
import { VERSION } from "./version.ts";

/** Public. A wrong setting is said here with its name, never its value. */
export const healthRoutes = new Hono<HttpEnv>().get(paths.health, answersJson, async (c) => {
  const read = configOf(c.env);
  const head = { service: "darkroom", version: VERSION, time: new Date().toISOString() } as const;
  if (!read.ok) {
    const keyConfigured = !read.errors.some((error) => error.path === "QWEN_API_KEY");
    const upstream = { region: null, host: null, keyConfigured };
    const problems = [...read.errors];
    const body: Health = { status: "misconfigured", ...head, upstream, lanes: [], authMode: null, problems };
    return jsonAnswer(c, body, 503);
  }
  const { region, baseUrl, authMode } = read.config;
  const upstream = { region, host: new URL(baseUrl).host, keyConfigured: true };
  const body: Health = { status: "ok", ...head, upstream, lanes: [], authMode };
  return jsonAnswer(c, body);
});
