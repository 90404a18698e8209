import { Hono } from "hono";
import { answerHeaders } from "./answer-headers.ts";
import { configured } from "./configured.ts";
import { crossOrigin } from "./cross-origin.ts";
import { docsRoutes } from "./docs-routes.ts";
import { doctorRoutes } from "./doctor-routes.ts";
import { eventRoutes } from "./event-routes.ts";
import { healthRoutes } from "./health-routes.ts";
import type { HttpEnv } from "./http-env.ts";
import { imageRoutes } from "./image-routes.ts";
import { jobRoutes } from "./job-routes.ts";
import { knownPathsOf } from "./known-paths.ts";
import { limitsRoutes } from "./limits-routes.ts";
import { listRoutes } from "./list-routes.ts";
import { requestBounds } from "./request-bounds.ts";
import { sessionRoutes } from "./session-routes.ts";
import { submitRoutes } from "./submit-routes.ts";
import { errorAnswer } from "./unexpected.ts";
import { unmatchedAnswer } from "./unmatched.ts";

/** The API, built once for each isolate. The order of `use` is the order of judgement. */
export const app = new Hono<HttpEnv>();

const allowed = (path: string) => knownPaths(path);

app.onError((error, c) => errorAnswer(c, error));
app.notFound((c) => unmatchedAnswer(c, allowed));
app.use(answerHeaders);
app.use(requestBounds);
app.use(crossOrigin(allowed));
app.route("/", healthRoutes);
app.route("/", doctorRoutes);
app.use(configured);
app.route("/", submitRoutes);
app.route("/", listRoutes);
app.route("/", jobRoutes);
app.route("/", eventRoutes);
app.route("/", imageRoutes);
app.route("/", limitsRoutes);
app.route("/", sessionRoutes);
app.route("/", docsRoutes);

const knownPaths = knownPathsOf(app);
