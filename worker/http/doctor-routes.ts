import { Hono } from "hono";
import type { Diagnosis } from "../../schemas/doctor.ts";
import { paths } from "../../schemas/paths.ts";
import { diagnose } from "../doctor/core/diagnose.ts";
import { examine } from "../doctor/examine.ts";
import { configOf } from "../env.ts";
import { requireOperator } from "./asker.ts";
import { diagnosisText } from "./core/diagnosis-text.ts";
import type { HttpEnv } from "./http-env.ts";
import { jsonAnswer, negotiate } from "./json-answer.ts";
import { PRIVATE_VARY } from "./negotiated.ts";
import { noQuery } from "./openapi/parameters.ts";
import { queryCheck } from "./query.ts";
import { VERSION } from "./version.ts";

const checkQuery = queryCheck(noQuery);

/**
 * For the operator. While settings are wrong nobody can be told from anybody, and nothing is looked at: then it says what health
 * says to everyone, with how to mend it.
 */
export const doctorRoutes = new Hono<HttpEnv>().get(paths.doctor, async (c) => {
  const form = negotiate(c, ["application/json", "text/plain"]);
  checkQuery(c);
  const read = configOf(c.env);
  if (read.ok) {
    c.set("config", read.config);
    requireOperator(c);
  }
  const observed = await examine(c.env, read);
  const checks = diagnose(observed);
  const ok = checks.every((check) => check.ok !== false);
  const time = new Date(observed.nowMs).toISOString();
  const diagnosis: Diagnosis = { ok, service: "darkroom", version: VERSION, time, checks };
  if (form === "application/json") return jsonAnswer(c, diagnosis);
  return new Response(diagnosisText(diagnosis), {
    headers: { "Content-Type": "text/plain; charset=utf-8", Vary: PRIVATE_VARY },
  });
});
