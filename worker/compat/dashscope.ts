import { Hono } from "hono";
import { JOB_ID_PATTERN, type Workflow } from "../../schemas/paths.ts";
import { MAX_BODY_BYTES } from "../../schemas/submit.ts";
import { within } from "../bounds.ts";
import type { CatalogEntry, ListQuery } from "../catalog/contract.ts";
import type { ModelFacts } from "../dashscope/models.ts";
import type { Region } from "../dashscope/wire.ts";
import { clientOf, loggedOfOperator, requireAsker, viewerOf } from "../http/access.ts";
import { ProblemError } from "../http/answers.ts";
import { type CheckedSubmission, checkSubmission } from "../http/checked-submission.ts";
import type { HttpContext, HttpEnv } from "../http/context.ts";
import { type Found, givenFor, isRecord, jsonFields, withoutUnsupported } from "../http/core/given-fields.ts";
import { jobProblem, linksFor } from "../http/job-answers.ts";
import { readBody } from "../http/submit-body.ts";
import type { Uploads } from "../http/uploads.ts";
import { catalogStub, jobStub } from "../stubs.ts";
import {
  acceptedAnswer,
  failureOf,
  listRow,
  parseWireStamp,
  syncAnswer,
  takenBody,
  taskAnswer,
  unknownTask,
  wireError,
} from "./core/dashscope-wire.ts";
import { policyRoutes, withUploaded } from "./dashscope-uploads.ts";
import { heldJson, holdEndsAtMs, onceDone } from "./hold.ts";
import { placeRequest, type ReadRequest } from "./place.ts";
import { ModelNotFound, modelNamed, protocolApp, statusOf, withHeaders } from "./protocol.ts";

const BASE = "/api/v1";

/** The submit paths. The two legacy ones have their images in `results`. */
const SUBMIT_PATHS = {
  "/services/aigc/multimodal-generation/generation": { withResults: false },
  "/services/aigc/image-generation/generation": { withResults: false },
  "/services/aigc/text2image/image-synthesis": { withResults: true },
  "/services/aigc/image2image/image-synthesis": { withResults: true },
} as const;

type SubmitPath = keyof typeof SUBMIT_PATHS;

/** The bound on a read from an object. After it the client gets 503, and reads again. */
const READ_BOUND_MS = 5_000;
const DAY_MS = 86_400_000;
/** How many of a client's newest jobs a list looks through at most. */
const MAX_LISTED = 2_000;
const LISTED_AT_ONCE = 500;
const MAX_PAGE_SIZE = 100;

const REGION_NAMES: Readonly<Record<Region, string>> = {
  sg: "ap-southeast-1",
  bj: "cn-beijing",
  us: "us-east-1",
  hk: "cn-hongkong",
};

function wireJson(body: object, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
}

function refuse(c: HttpContext, problem: ProblemError): Response {
  const { status, code } =
    problem instanceof ModelNotFound
      ? { status: 404, code: "ModelNotFound" }
      : wireError(problem.code, statusOf(problem));
  const message = problem.code === "unauthorized" ? `Invalid API-key provided. ${problem.message}` : problem.message;
  return wireJson({ code, message, request_id: c.get("requestId") }, status, problem.extras.headers);
}

/** The workflow that a body asks for: editing when it has images, or when its model only edits. */
function workflowOf(found: Found, facts: ModelFacts | null): Workflow {
  const images = givenFor(found, "images");
  const hasImages = images !== undefined && !(Array.isArray(images) && images.length === 0);
  if (hasImages || (facts !== null && !facts.workflows.includes("image-from-text"))) return "image-from-reference";
  return "image-from-text";
}

/** Reads what a body asks for, and checks it like a native submission. */
async function requestOf(c: HttpContext, uploads: Uploads): Promise<ReadRequest> {
  const config = c.get("config");
  const read = await readBody(c, "a request", MAX_BODY_BYTES, uploads);
  if (read.kind === "form") throw new ProblemError("unsupported_media_type", "The body must be application/json.");
  const { body } = takenBody(read.value);
  // Both workflows have the same fields, except that only this one has images.
  const all = jsonFields("image-from-reference", body);
  const model = givenFor(all, "model");
  const facts = typeof model === "string" ? modelNamed(c, model) : null;
  const workflow = workflowOf(all, facts);
  const chosen = facts ?? config.modelTable.facts(config.models[workflow]);
  const found = await withUploaded(c, uploads, all);
  const fitting = chosen === null ? found : withoutUnsupported(found, chosen.supports).found;
  const checked: CheckedSubmission = checkSubmission(workflow, withoutEmptyImages(fitting, workflow), config);
  return { parts: [checked], user: userOf(read.value) };
}

/** The client's own name for its end user, which some clients send at the top beside the model. */
function userOf(body: unknown): string | null {
  return isRecord(body) && typeof body.user === "string" ? body.user : null;
}

function withoutEmptyImages(found: Found, workflow: Workflow): Found {
  if (workflow === "image-from-reference") return found;
  return { ...found, given: found.given.filter(({ field }) => field !== "images") };
}

async function submit(c: HttpContext, path: SubmitPath): Promise<Response> {
  const receivedAtMs = Date.now();
  const isHeld = c.req.header("x-dashscope-async")?.trim().toLowerCase() !== "enable";
  const route = { name: `dashscope ${path}`, isHeld };
  const { client, jobs, hold, headers } = await placeRequest(c, route, (uploads) => requestOf(c, uploads));
  const [placed] = jobs;
  if (placed === undefined) throw new Error("a request made no job");
  const requestId = c.get("requestId");
  if (!isHeld) return wireJson(acceptedAnswer(placed.id, requestId), 200, headers);
  try {
    const view = await onceDone(c, client, placed, holdEndsAtMs(c, receivedAtMs));
    if (!view.done) {
      await hold?.undelivered();
      const message = `The job is still running. The same request again takes it, and GET ${BASE}/tasks/${view.id} reads it.`;
      const body = { code: "RequestTimeOut", message, request_id: requestId };
      return wireJson(body, 500, { ...headers, "Retry-After": "1" });
    }
    if (view.output === null) {
      const { status, code, message } = failureOf(view);
      return heldJson(hold, { code, message, request_id: requestId }, status, headers);
    }
    const links = linksFor(c);
    const urlOf = (index: number) => links.image(view.id, index);
    return heldJson(hold, syncAnswer(view, requestId, urlOf, SUBMIT_PATHS[path].withResults), 200, headers);
  } catch (error) {
    await hold?.undelivered();
    throw withHeaders(c, error, headers);
  }
}

async function readTask(c: HttpContext): Promise<Response> {
  const viewer = viewerOf(c, requireAsker(c));
  const requestId = c.get("requestId");
  const id = c.req.param("id") ?? "";
  const found = JOB_ID_PATTERN.test(id)
    ? await within(READ_BOUND_MS, "the job", jobStub(c.env, id).view(viewer))
    : null;
  if (found === null || !found.ok) return wireJson(unknownTask(id, requestId));
  const links = linksFor(c);
  const body = taskAnswer(found.view, requestId, (index) => links.image(id, index));
  return wireJson(body, 200, { "X-Darkroom-Job": id });
}

async function cancelTask(c: HttpContext): Promise<Response> {
  const asker = requireAsker(c);
  const viewer = viewerOf(c, asker);
  const requestId = c.get("requestId");
  const id = c.req.param("id") ?? "";
  const refused = (reason: string, headers = {}) => {
    const message = `Failed to cancel the task: ${reason}`;
    return wireJson({ request_id: requestId, code: "UnsupportedOperation", message }, 400, headers);
  };
  if (!JOB_ID_PATTERN.test(id)) return refused("there is no such task");
  const action = { action: "job.cancel", target: id, details: {} } as const;
  try {
    await loggedOfOperator(c, asker, action, async () => {
      const canceled = await jobStub(c.env, id).cancel(viewer);
      if (!canceled.ok) throw jobProblem(canceled);
    });
  } catch (error) {
    if (error instanceof ProblemError) {
      return refused(error.message, error.code === "job_not_found" ? {} : { "X-Darkroom-Job": id });
    }
    throw error;
  }
  return wireJson({ request_id: requestId }, 200, { "X-Darkroom-Job": id });
}

function positive(c: HttpContext, name: string, fallback: number): number {
  const text = c.req.query(name) ?? "";
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : fallback;
}

/** The client's jobs that were submitted in a span of time, newest first, of the newest `MAX_LISTED`. */
async function jobsBetween(c: HttpContext, client: string, startMs: number, endMs: number): Promise<CatalogEntry[]> {
  const found: CatalogEntry[] = [];
  let cursor: string | null = null;
  do {
    const query: ListQuery = { status: null, workflow: null, beforeMs: endMs + 1, limit: LISTED_AT_ONCE, cursor };
    const listing = catalogStub(c.env, client).list(query);
    const page: Awaited<typeof listing> = await within(READ_BOUND_MS, "the catalog", listing);
    if (!page.ok) throw new Error("the catalog refused its own cursor");
    const inSpan: CatalogEntry[] = page.entries.filter(({ createdAt }) => Date.parse(createdAt) >= startMs);
    found.push(...inSpan);
    cursor = inSpan.length < page.entries.length ? null : page.nextCursor;
  } while (cursor !== null && found.length < MAX_LISTED);
  return found;
}

async function listTasks(c: HttpContext): Promise<Response> {
  const client = clientOf(viewerOf(c, requireAsker(c)));
  const nowMs = Date.now();
  const endMs = parseWireStamp(c.req.query("end_time") ?? "") ?? nowMs;
  const startMs = parseWireStamp(c.req.query("start_time") ?? "") ?? endMs - DAY_MS;
  const region = REGION_NAMES[c.get("config").region];
  const { model_name: model, status, task_id: taskId } = c.req.query();
  const rows = (await jobsBetween(c, client, startMs, endMs))
    .map((entry) => listRow(entry, client, region))
    .filter((row) => (model || row.model_name) === row.model_name && (status || row.status) === row.status)
    .filter((row) => (taskId || row.task_id) === row.task_id);
  const page = positive(c, "page_no", 1);
  const size = Math.min(MAX_PAGE_SIZE, positive(c, "page_size", 10));
  return wireJson({
    total: rows.length,
    data: rows.slice((page - 1) * size, page * size),
    total_page: Math.ceil(rows.length / size),
    page_no: page,
    page_size: size,
    request_id: c.get("requestId"),
  });
}

const routes = new Hono<HttpEnv>()
  .get(`${BASE}/tasks`, listTasks)
  .get(`${BASE}/tasks/:id`, readTask)
  .post(`${BASE}/tasks/:id/cancel`, cancelTask)
  .route("/", policyRoutes);
for (const path of Object.keys(SUBMIT_PATHS) as SubmitPath[]) routes.post(`${BASE}${path}`, (c) => submit(c, path));

/** The DashScope-compatible API, below `/api/v1`. */
export const dashscopeApp = protocolApp({ routes, refuse });
