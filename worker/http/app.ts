import { Hono } from "hono";
import { answerHeaders } from "./answer-headers.ts";
import { configured } from "./configured.ts";
import { healthRoutes } from "./health-routes.ts";
import type { HttpEnv } from "./http-env.ts";
import { knownPathsOf } from "./known-paths.ts";
import { requestBounds } from "./request-bounds.ts";
import { errorAnswer } from "./unexpected.ts";
import { unmatchedAnswer } from "./unmatched.ts";

/** The API, built once for each isolate. The order of `use` is the order of judgement. */
export const app = new Hono<HttpEnv>();

app.onError((error, c) => errorAnswer(c, error));
app.use(answerHeaders);
app.use(requestBounds);
app.route("/", healthRoutes);
app.use(configured);

const allowed = knownPathsOf(app);
app.notFound((c) => unmatchedAnswer(c, allowed));
