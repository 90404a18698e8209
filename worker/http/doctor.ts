import { z } from "zod";
import { Diagnosis } from "../../schemas/doctor.ts";
import { paths } from "../../schemas/paths.ts";
import { diagnose } from "../doctor/core/diagnose.ts";
import { examine } from "../doctor/examine.ts";
import { configOf } from "../env.ts";
import { requireOperator } from "./access.ts";
import { answer, jsonAnswer, negotiate, PRIVATE_VARY } from "./answers.ts";
import { requestOrigin } from "./context.ts";
import { diagnosisText } from "./core/terminal-text.ts";
import { headers, shown } from "./openapi/answers.ts";
import { VERSION } from "./openapi/document.ts";
import { publicRoute, type Route } from "./route.ts";

/**
 * For the operator. While settings are wrong no token can be checked: then it answers everyone what health answers, with how
 * to mend it, and calls no other system.
 */
export const DOCTOR_ROUTES: readonly Route[] = [
  publicRoute(
    {
      method: "GET",
      path: paths.doctor,
      id: "getDiagnosis",
      tag: "Operate",
      summary: "What is wrong with the deployment, and how to mend it",
      description:
        "For the operator; as JSON or text/plain. Writes, reads and deletes an object in R2, calls an object of each kind, and asks upstream for a task that does not exist, which costs nothing. A key that is refused is shown to the other regions, to name the one it belongs to. Where `PUBLIC_ORIGIN` is another address than the one that was asked, a link to a job that does not exist is followed there. While settings are wrong it answers anyone, with what health says.",
      security: [{ bearer: [] }, { session: [] }],
      answers: {
        "200": {
          description: "Every check.",
          headers: headers(),
          content: { "application/json": shown(Diagnosis, "diagnosis"), "text/plain": shown(z.string()) },
        },
      },
      problems: ["unauthorized", "open_mode_refused", "operator_only", "not_acceptable"],
    },
    async (c) => {
      const form = negotiate(c, ["application/json", "text/plain"]);
      const read = configOf(c.env);
      if (read.ok) {
        c.set("config", read.config);
        requireOperator(c);
      }
      const observed = await examine(c.env, read, requestOrigin(c));
      const checks = diagnose(observed);
      const ok = checks.every((check) => check.ok !== false);
      const time = new Date(observed.nowMs).toISOString();
      const diagnosis: Diagnosis = { ok, service: "darkroom", version: VERSION, time, checks };
      if (form === "application/json") return jsonAnswer(c, diagnosis);
      const text = { "Content-Type": "text/plain; charset=utf-8", Vary: PRIVATE_VARY };
      return answer(c, diagnosisText(diagnosis), 200, text);
    },
  ),
];
