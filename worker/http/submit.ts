import { z } from "zod";
import type { ZodOpenApiRequestBodyObject } from "zod-openapi";
import { type InputImage, Job, type Warning } from "../../schemas/job.ts";
import { paths, type Workflow } from "../../schemas/paths.ts";
import type { ProblemCode } from "../../schemas/problem.ts";
import { within } from "../bounds.ts";
import { isLoopback } from "../env.ts";
import type { JobRpc, JobView, JobWebhook, Submission } from "../job/contract.ts";
import { newCatalogEntry } from "../job/core/view.ts";
import { budgetOf } from "../spend/prices.ts";
import { jobStub, newJobId } from "../stubs.ts";
import { loggedSubmission, submitterOf } from "./access.ts";
import { ProblemError } from "./answers.ts";
import { type CheckedSubmission, checkSubmission } from "./checked-submission.ts";
import { type HttpContext, originOf, requestOrigin } from "./context.ts";
import { parseImageAddress } from "./core/image-address.ts";
import { preferredWaitSeconds, readIdempotencyKey, readTraceparent } from "./core/request-headers.ts";
import { jobAnswer, jobProblem } from "./job-answers.ts";
import { showInCatalog } from "./new-jobs.ts";
import { JOB_HEADERS, json, shown } from "./openapi/answers.ts";
import { ReferenceBody, ReferenceForm, TextBody } from "./openapi/submit-bodies.ts";
import { clientRoute, PREFER, type Route } from "./route.ts";
import { readSubmitFields } from "./submit-body.ts";
import {
  brakeSubmissions,
  MOST_RENEWALS,
  priceOfJob,
  reserveFirst,
  returnPending,
  takePending,
} from "./submit-limits.ts";
import { imageProblem, keyUsedUp, MAX_GENERATIONS, Upload, Uploads, uploadedImage } from "./uploads.ts";
import { refuseLoop, webhookOf } from "./webhooks.ts";

/** The waits before a failed submission is repeated. */
const SUBMIT_AGAIN_MS = [200, 800] as const;
/** How much longer than requested a wait may take: the way back of its answer. */
const WAIT_SLACK_MS = 300;

export interface Placed {
  readonly view: JobView;
  readonly replayed: boolean;
  /** An earlier try of this request failed, and may have made the job. */
  readonly isRepeated: boolean;
}

export function idempotencyKeyOf(c: HttpContext): string | null {
  const read = readIdempotencyKey(c.req.header("idempotency-key"));
  if (read.ok) return read.key;
  const errors = [{ path: "Idempotency-Key", message: read.message }];
  throw new ProblemError("invalid_idempotency_key", `The Idempotency-Key ${read.message}.`, { errors });
}

/** What the checks of a submission's images gave. */
interface Inputs {
  readonly images: readonly InputImage[];
  readonly warnings: readonly Warning[];
}

/** Checks each image: an address by its text, one of our own by its stored bytes, an upload by its content. */
async function inputsOf(
  c: HttpContext,
  { facts, sources, pointerOf }: CheckedSubmission,
  uploads: Uploads,
): Promise<Inputs> {
  const { baseUrl } = c.get("config");
  const rules = { ownOrigins: [requestOrigin(c), originOf(c)], allowLoopback: isLoopback(new URL(baseUrl).hostname) };
  const images: InputImage[] = [];
  const warnings: Warning[] = [];
  for (const [index, source] of sources.entries()) {
    const path = pointerOf(`/images/${index}`);
    let upload = source instanceof Upload ? source : null;
    if (typeof source === "string") {
      const address = parseImageAddress(source, rules);
      if (address.kind === "wrong") throw imageProblem("invalid_request", path, address.message);
      if (address.kind === "url") {
        images.push({ kind: "url", url: address.url });
        continue;
      }
      upload = await uploads.takeOwn(address.image);
    }
    if (upload === null) throw imageProblem("invalid_request", path, "is no stored image of this client");
    const checked = uploadedImage(upload, path, facts);
    images.push(checked.image);
    warnings.push(...checked.warnings);
  }
  return { images, warnings };
}

/** The room that was taken for a submission, while it is submitted. */
interface RoomInUse {
  readonly untilMs: number;
  /** Takes room in place of what has ended. Throws the refusal when there is none. */
  renew(): Promise<RoomInUse | null>;
}

/**
 * Submits to one object. A failed call is repeated: the object may have been reset, and the same submission makes one job. The
 * repetition of a slow call may come after the room has ended; the job refuses it then, and room is taken again.
 */
async function submitTo(c: HttpContext, submission: Submission, taken: RoomInUse | null) {
  let room = taken;
  for (let failures = 0, renewals = 0; ; ) {
    let answer: Awaited<ReturnType<JobRpc["submit"]>>;
    try {
      const granted = room === null ? {} : { roomUntilMs: room.untilMs };
      answer = await jobStub(c.env, submission.id).submit({ ...submission, ...granted }, true);
    } catch (error) {
      if (failures === SUBMIT_AGAIN_MS.length) throw error;
      console.error({ event: "submit_repeated", jobId: submission.id, error: String(error) });
      await scheduler.wait(SUBMIT_AGAIN_MS[failures] ?? 0);
      failures += 1;
      continue;
    }
    if (answer.ok) {
      const isRepeated = failures > 0;
      // A replay of this request's own earlier call does not count as one.
      const replayed = answer.replayed && !(isRepeated && submission.idempotencyKey === null);
      return { ...answer, replayed, isRepeated };
    }
    if (answer.code !== "grant_expired" || room === null || renewals === MOST_RENEWALS) return answer;
    renewals += 1;
    room = await room.renew();
  }
}

/** A submission whose checks are done: only a limit, or its key, can refuse it. */
export interface ReadySubmission extends Inputs {
  readonly key: string | null;
  readonly checked: CheckedSubmission;
  readonly webhook: JobWebhook | null;
  readonly uploads: Uploads;
  /** How many submissions the request makes. */
  readonly parts: number;
}

/** Checks the images and the webhook of a checked submission, before anything is counted or reserved for it. */
export async function readySubmission(
  c: HttpContext,
  client: string,
  key: string | null,
  checked: CheckedSubmission,
  uploads: Uploads,
  parts = 1,
): Promise<ReadySubmission> {
  refuseLoop(c);
  const webhook = webhookOf(c, client, checked);
  return { key, checked, webhook, uploads, parts, ...(await inputsOf(c, checked, uploads)) };
}

/** The job of this submission: a new one, or the one of its key. If the key's job was removed, the next generation is made. */
async function place(c: HttpContext, client: string, ready: ReadySubmission, room: RoomInUse | null): Promise<Placed> {
  const { key, checked, images, warnings, webhook, uploads, parts } = ready;
  const { workflow, model, leftOut, metadata } = checked;
  const { target } = uploads;
  const traceparent = readTraceparent(c.req.header("traceparent"));
  const price = priceOfJob(c.get("config"), model, checked.request);
  for (let generation = target?.generation ?? 0; generation < MAX_GENERATIONS; generation++) {
    const id = target?.id ?? newJobId(c.env.JOBS, client, key, generation);
    const reserved = await reserveFirst(c, client, { id, model, n: checked.request.n, unitMicros: price.unitMicros });
    const submission: Submission = {
      id,
      client,
      workflow,
      model,
      request: { ...checked.request, images: [...images] },
      leftOut,
      metadata,
      warnings: [...checked.warnings, ...warnings, ...(reserved?.warnings ?? [])],
      ...(webhook === null ? {} : { webhook }),
      ...(traceparent === null ? {} : { traceparent }),
      ...(parts === 1 ? {} : { parts }),
      idempotencyKey: key,
      price,
      ...(reserved === null ? {} : { grantUntilMs: reserved.untilMs }),
      ...(target === null ? {} : { uploadsUntilMs: target.untilMs }),
    };
    const entry = { target: id, details: { client, workflow, model, n: checked.request.n } };
    const answer = await loggedSubmission(c, entry, async () => {
      const answered = await submitTo(c, submission, room);
      // The catalog knows that the job was removed, and its object has forgotten it.
      const isForgotten = !answered.ok && answered.code === "grant_expired" && reserved?.untilMs === 0;
      if (!answered.ok && answered.code !== "job_gone" && !isForgotten) throw jobProblem(answered);
      return answered;
    });
    if (answer.ok) {
      // A job relies on its submitter to notify the catalog until its first change. An earlier request, or its isolate, may have died
      // before it did.
      if (!answer.replayed || answer.view.seq === 1) showInCatalog(c, client, newCatalogEntry(answer.view));
      return answer;
    }
    // Its images were not stored again, or were removed with the job.
    if (target !== null) throw deletedMeanwhile();
  }
  throw keyUsedUp();
}

function deletedMeanwhile(): ProblemError {
  const detail = "The job of this Idempotency-Key was deleted while its images came; send the request again.";
  return new ProblemError("overloaded", detail, { headers: { "Retry-After": "1" } });
}

/** The job that the key stands for; null when there is none, or it was removed. */
export async function jobOfKey(c: HttpContext, client: string, key: string): Promise<JobView | null> {
  for (let generation = 0; generation < MAX_GENERATIONS; generation++) {
    const job = jobStub(c.env, newJobId(c.env.JOBS, client, key, generation));
    const known = await job.view(client);
    if (known.ok) return known.view;
    if (known.code !== "job_gone") return null;
  }
  return null;
}

/** The room of one request's submissions within the client's limit on unfinished jobs; null when none was taken. */
export type Room = Awaited<ReturnType<typeof takePending>>;

/**
 * Takes room for each of these submissions, or for none of them. A repetition whose keys all have a job is answered even at
 * the limit and while the client is paused.
 */
export async function takeRoom(
  c: HttpContext,
  client: string,
  ready: readonly Pick<ReadySubmission, "key">[],
): Promise<Room | null> {
  // The client's catalog counts each of its submissions when it reserves the money.
  if (budgetOf(c.get("config"), client) !== null) return null;
  const taken = await takePending(c, client, ready.length);
  if (!(taken instanceof ProblemError)) return taken;
  for (const { key } of ready) if (key === null || (await jobOfKey(c, client, key)) === null) throw taken;
  return taken;
}

/**
 * Places a submission for which room was taken: a new job, or the one of its key. Unused room is given back, and room that ends
 * before the job is stored is taken again.
 */
export async function placeReady(
  c: HttpContext,
  client: string,
  ready: ReadySubmission,
  taken: Room | null,
): Promise<Placed> {
  let room = taken;
  const inUse = (): RoomInUse | null => {
    if (room === null) return null;
    return { untilMs: room instanceof ProblemError ? 0 : room.endsAtMs, renew };
  };
  const renew = async () => {
    // The job of the key was removed after there was no room for another.
    if (room instanceof ProblemError) throw room;
    room = await takeRoom(c, client, [ready]);
    return inUse();
  };
  let isUnused = false;
  try {
    const placed = await place(c, client, ready, inUse());
    isUnused = placed.replayed && !placed.isRepeated;
    return placed;
  } catch (error) {
    // After any error but a refusal the job may be stored, so its room is kept until the catalog knows or the reservation
    // ends.
    isUnused = error instanceof ProblemError;
    throw error;
  } finally {
    if (room !== null && !(room instanceof ProblemError) && isUnused) returnPending(room);
  }
}

/** Takes room for a checked submission whose images are in `uploads`, and places it. */
async function placeChecked(
  c: HttpContext,
  client: string,
  key: string | null,
  checked: CheckedSubmission,
  uploads: Uploads,
): Promise<Placed> {
  const placing = (async () => {
    const ready = await readySubmission(c, client, key, checked, uploads);
    return await placeReady(c, client, ready, await takeRoom(c, client, [ready]));
  })();
  // When a client hangs up, its request ends at once. Its images are stored, so the submission is completed all the same.
  if (uploads.target !== null) c.executionCtx.waitUntil(placing.catch(() => undefined));
  return await placing;
}

/** Reads, checks and places a submission. Stored uploads are removed when no job is made. */
async function placeFromBody(c: HttpContext, workflow: Workflow, client: string, key: string | null): Promise<Placed> {
  const uploads = new Uploads(c, client, key);
  try {
    const checked = checkSubmission(workflow, await readSubmitFields(c, workflow, uploads), c.get("config"));
    return await placeChecked(c, client, key, checked, uploads);
  } catch (error) {
    uploads.drop();
    throw error;
  }
}

/** The job once it is done, for `Prefer: wait`. It is stored: when waiting fails, the job as it was placed is shown, and no error. */
async function waited(c: HttpContext, client: string, placed: JobView, leftMs: number): Promise<JobView> {
  if (placed.done || leftMs <= 0) return placed;
  try {
    const waiting = jobStub(c.env, placed.id).wait(client, null, leftMs);
    const answer = await within(leftMs + WAIT_SLACK_MS, "the job", waiting);
    // It was deleted meanwhile, but it was accepted.
    return answer.ok ? answer.view : placed;
  } catch (error) {
    console.error({ event: "wait_failed", jobId: placed.id, error: String(error) });
    return placed;
  }
}

async function submit(c: HttpContext, workflow: Workflow, client: string): Promise<Response> {
  const receivedAtMs = Date.now();
  const key = idempotencyKeyOf(c);
  brakeSubmissions(c, client);
  const { view: placed, replayed } = await placeFromBody(c, workflow, client, key);
  const headers: Record<string, string> = { Location: `${originOf(c)}${paths.job(placed.id)}` };
  if (replayed) headers["Idempotency-Replayed"] = "true";
  const waitSeconds = preferredWaitSeconds(c.req.header("prefer"));
  if (waitSeconds === null) return jobAnswer(c, placed, { status: placed.done ? 200 : 202, headers });
  headers["Preference-Applied"] = `wait=${waitSeconds}`;
  const view = await waited(c, client, placed, receivedAtMs + waitSeconds * 1000 - Date.now());
  return jobAnswer(c, view, { status: view.done ? 200 : 202, headers });
}

const SUBMIT_HEADERS = ["Location", "Idempotency-Replayed", ...JOB_HEADERS] as const;

const submitHeaders = z.object({
  "Idempotency-Key": z.string().optional().meta({
    description:
      "One, with or without quotes (with, when a comma is in it), of 255 printable ASCII characters at most. The same submission again answers the same job.",
  }),
  Prefer: PREFER,
  traceparent: z.string().optional().meta({
    description: "W3C Trace Context. Kept with the job: its webhooks send it on, and log lines hold its trace id.",
  }),
});

/** OpenAPI links: the operations that take the 202's job id. */
const LINKS = Object.fromEntries(
  Object.entries({ status: "getJob", cancel: "cancelJob", watch: "watchJob" }).map(([name, operationId]) => [
    name,
    { operationId, parameters: { id: "$response.body#/id" } },
  ]),
);

interface SubmitDeclaration {
  readonly workflow: Workflow;
  readonly id: string;
  readonly summary: string;
  readonly content: ZodOpenApiRequestBodyObject["content"];
  readonly problems: readonly ProblemCode[];
}

function submitRoute({ workflow, id, summary, content, problems }: SubmitDeclaration): Route {
  return clientRoute(
    {
      method: "POST",
      path: paths.workflow(workflow),
      id,
      tag: "Submit",
      summary,
      description: "The answer is sent only once the job is stored: what got a 202 is never lost.",
      json: true,
      headers: submitHeaders,
      body: { required: true, content },
      answers: {
        "200": json("Done: within `Prefer: wait`, or replayed.", Job, "succeededJob", SUBMIT_HEADERS),
        "202": { ...json("The job is stored and waits.", Job, "queuedJob", SUBMIT_HEADERS), links: LINKS },
      },
      problems: [
        "invalid_request",
        "malformed_json",
        "malformed_body",
        "invalid_idempotency_key",
        "job_not_found",
        "job_gone",
        "body_too_large",
        "unsupported_media_type",
        "idempotency_key_reused",
        "client_paused",
        "budget_exceeded",
        "price_unknown",
        "too_many_pending_jobs",
        "rate_limited",
        "loop_detected",
        ...problems,
      ],
    },
    (c, { asker, viewer }) => submit(c, workflow, submitterOf(c, asker, viewer)),
  );
}

/** A submission is answered once its job is stored. */
export const SUBMIT_ROUTES: readonly Route[] = [
  submitRoute({
    workflow: "image-from-text",
    id: "submitImageFromText",
    summary: "An image from a text",
    content: { "application/json": shown(TextBody, "textSubmit", "vendorSubmit") },
    problems: [],
  }),
  submitRoute({
    workflow: "image-from-reference",
    id: "submitImageFromReference",
    summary: "An image from reference images and a text",
    content: {
      "application/json": shown(ReferenceBody, "referenceSubmit", "snakeReferenceSubmit"),
      "multipart/form-data": shown(ReferenceForm),
    },
    problems: ["image_too_large", "upload_timed_out"],
  }),
];
