import { Hono } from "hono";
import { paths, type Workflow } from "../../schemas/paths.ts";
import type { JobView, Submission } from "../job/contract.ts";
import { newCatalogEntry } from "../job/core/job-view.ts";
import { jobStub } from "../stubs.ts";
import { requireAsker, submitterOf } from "./asker.ts";
import { tellCatalog } from "./catalog-news.ts";
import { type CheckedSubmission, checkSubmission } from "./checked-submission.ts";
import { readIdempotencyKey } from "./core/idempotency-key.ts";
import { preferredWaitSeconds } from "./core/prefer.ts";
import { type HttpContext, type HttpEnv, originOf } from "./http-env.ts";
import { discardInputs, type InputFile, type ReadInputs, readInputs, storeInputs } from "./input-images.ts";
import { jobAnswer } from "./job-answer.ts";
import { newJobId } from "./job-id.ts";
import { jobProblem } from "./job-problem.ts";
import { answersJson } from "./json-answer.ts";
import { clientQuery } from "./openapi/parameters.ts";
import { returnPending, takePending, tooManyPending } from "./pending-allowance.ts";
import { ProblemError } from "./problem.ts";
import { queryCheck } from "./query.ts";
import { readSubmitFields, submitBodyLimit } from "./submit-body.ts";
import { brakeSubmissions } from "./submit-brake.ts";

/** How often the job of one key may have been deleted and submitted again. */
const MAX_GENERATIONS = 100;

const checkQuery = queryCheck(clientQuery);

interface Placed {
  readonly view: JobView;
  readonly replayed: boolean;
}

function idempotencyKeyOf(c: HttpContext): string | null {
  const read = readIdempotencyKey(c.req.header("idempotency-key"));
  if (read.ok) return read.key;
  const errors = [{ path: "Idempotency-Key", message: read.message }];
  throw new ProblemError("invalid_idempotency_key", `The Idempotency-Key ${read.message}.`, { errors });
}

/** Submits to one object, with its uploads stored before; they are removed again when it refuses. */
async function storeAndSubmit(c: HttpContext, submission: Submission, files: readonly InputFile[]) {
  if (files.length > 0) await storeInputs(c.env.RESULTS, submission.id, files);
  const answer = await jobStub(c.env, submission.id).submit(submission, true);
  if (!answer.ok) await discardInputs(c.env, submission, files, answer);
  return answer;
}

/** As `storeAndSubmit`, carried through once it has begun. */
async function submitTo(c: HttpContext, submission: Submission, files: readonly InputFile[]) {
  const submitted = storeAndSubmit(c, submission, files);
  // A client that hangs up ends its request where it stands: its uploads would be left without their job.
  if (files.length > 0) c.executionCtx.waitUntil(submitted.catch(() => undefined));
  return await submitted;
}

/** The job of this submission: a new one, or the one that its key stands for. A key whose job is gone stands for the next. */
async function place(
  c: HttpContext,
  client: string,
  key: string | null,
  checked: CheckedSubmission,
  inputs: ReadInputs,
): Promise<Placed> {
  const { workflow, model, leftOut, metadata } = checked;
  const request = { ...checked.request, images: [...inputs.images] };
  const warnings = [...checked.warnings, ...inputs.warnings];
  for (let generation = 0; generation < MAX_GENERATIONS; generation++) {
    const id = newJobId(client, key, generation);
    const submission = { id, client, workflow, model, request, leftOut, metadata, warnings, idempotencyKey: key };
    const answer = await submitTo(c, submission, inputs.files);
    if (answer.ok) {
      if (!answer.replayed) tellCatalog(c, client, newCatalogEntry(answer.view));
      return answer;
    }
    if (answer.code !== "job_gone") throw jobProblem(answer);
  }
  throw new ProblemError("job_gone", "The jobs of this Idempotency-Key were deleted too often; use a new key.");
}

/** Whether the key stands for a job, so that a repetition is answered even at the limit. One that is gone stands for none. */
async function isKnownKey(c: HttpContext, client: string, key: string | null): Promise<boolean> {
  if (key === null) return false;
  for (let generation = 0; generation < MAX_GENERATIONS; generation++) {
    const known = await jobStub(c.env, newJobId(client, key, generation)).view(client);
    if (known.ok || known.code !== "job_gone") return known.ok;
  }
  return false;
}

/** As `place`, within the client's limit on unfinished jobs. */
async function placeWithinLimit(c: HttpContext, client: string, key: string | null, checked: CheckedSubmission) {
  const inputs = await readInputs(checked);
  const taken = await takePending(c, client);
  if (taken === null && !(await isKnownKey(c, client, key))) throw tooManyPending(c.get("config").maxPendingJobs);
  let isNew = false;
  try {
    const placed = await place(c, client, key, checked, inputs);
    isNew = !placed.replayed;
    return placed;
  } finally {
    if (taken !== null && !isNew) returnPending(taken);
  }
}

async function submit(c: HttpContext, workflow: Workflow): Promise<Response> {
  const receivedAtMs = Date.now();
  const client = submitterOf(c, requireAsker(c));
  checkQuery(c);
  const key = idempotencyKeyOf(c);
  brakeSubmissions(c, client);
  const checked = checkSubmission(workflow, await readSubmitFields(c), c.get("config"));
  const { view: placed, replayed } = await placeWithinLimit(c, client, key, checked);
  const headers: Record<string, string> = { Location: `${originOf(c)}${paths.job(placed.id)}` };
  if (replayed) headers["Idempotency-Replayed"] = "true";
  const waitSeconds = preferredWaitSeconds(c.req.header("prefer"));
  let view = placed;
  if (waitSeconds !== null) {
    headers["Preference-Applied"] = `wait=${waitSeconds}`;
    const leftMs = receivedAtMs + waitSeconds * 1000 - Date.now();
    const waited = view.done || leftMs <= 0 ? null : await jobStub(c.env, view.id).wait(client, null, leftMs);
    // Deleted while we waited: it was taken all the same.
    if (waited?.ok === true) view = waited.view;
  }
  return jobAnswer(c, view, { status: view.done ? 200 : 202, headers });
}

/** A submission is answered once its job is stored: what got a 202 is never lost. */
export const submitRoutes = new Hono<HttpEnv>()
  .post(paths.workflow("image-from-text"), answersJson, submitBodyLimit("image-from-text"), (c) =>
    submit(c, "image-from-text"),
  )
  .post(paths.workflow("image-from-reference"), answersJson, submitBodyLimit("image-from-reference"), (c) =>
    submit(c, "image-from-reference"),
  );
