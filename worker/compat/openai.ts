import { Hono } from "hono";
import { sizesFor } from "../../schemas/limits.ts";
import type { Workflow } from "../../schemas/paths.ts";
import { MAX_BODY_BYTES, MAX_SEED } from "../../schemas/submit.ts";
import { orAfter } from "../bounds.ts";
import { byteChunks } from "../byte-chunks.ts";
import type { ModelFacts } from "../dashscope/models.ts";
import { requireAsker } from "../http/access.ts";
import { ProblemError } from "../http/answers.ts";
import { type CheckedSubmission, checkSubmission } from "../http/checked-submission.ts";
import type { HttpContext, HttpEnv } from "../http/context.ts";
import { type Found, givenFor, withoutUnsupported, withValue } from "../http/core/given-fields.ts";
import { linksFor } from "../http/job-answers.ts";
import { readBody } from "../http/submit-body.ts";
import type { Uploads } from "../http/uploads.ts";
import type { JobView } from "../job/contract.ts";
import { fromR2 } from "../results/job-files.ts";
import { type Variant, variantOf, variantSize } from "../results/variants/variant.ts";
import { contentTypeOf, findOrMakeVariant } from "../results/variants/variants.ts";
import { jobStub } from "../stubs.ts";
import { nearestSize, parseSize } from "./core/nearest-size.ts";
import {
  type AnsweredImage,
  type AnswerOptions,
  completedEvent,
  END,
  errorEvent,
  failedAnswer,
  HEARTBEAT,
  imagesAnswer,
  jobCounts,
  listedModel,
  type OpenaiError,
  openaiError,
  openaiRequest,
} from "./core/openai-wire.ts";
import { HOLD_MS, type Hold, heldBody, heldJson, holdEndsAtMs, onceDone } from "./hold.ts";
import { type PlacedRequest, placeRequest } from "./place.ts";
import { ModelNotFound, modelNamed, protocolApp, statusOf, withHeaders } from "./protocol.ts";

/** A multiple of three, so that the base64 of each chunk ends on a whole group. */
const CHUNK_BYTES = 3 * 32 * 1024;
/** Below the idle limits of proxies, which begin at 30 s. */
const HEARTBEAT_MS = 10_000;
/** Variants are made one by one, so a job of many images may be asked to try again: this often, with a pause in between. */
const VARIANT_TRIES = 3;
const VARIANT_AGAIN_MS = 1_000;

function errorBody(error: OpenaiError) {
  return { error };
}

function refuse(_c: HttpContext, problem: ProblemError): Response {
  const { code, message, extras } = problem;
  const status = statusOf(problem);
  const error = openaiError(code, status, message, extras.errors?.[0]?.path);
  const body = errorBody(problem instanceof ModelNotFound ? { ...error, code: "model_not_found" } : error);
  return Response.json(body, { status, ...(extras.headers === undefined ? {} : { headers: extras.headers }) });
}

/** A request after reading and checking. */
interface Asked {
  readonly user: string | null;
  readonly parts: readonly CheckedSubmission[];
  readonly options: AnswerOptions;
  readonly ignored: readonly string[];
}

function modelOf(c: HttpContext, workflow: Workflow, found: Found): ModelFacts | null {
  const { modelTable, models } = c.get("config");
  const name = givenFor(found, "model");
  if (name !== undefined && typeof name !== "string") return null;
  return (name === undefined ? null : modelNamed(c, name)) ?? modelTable.facts(models[workflow]);
}

/** Replaces the requested size by the nearest one of the model; removes it for a model without sizes. */
function withNearestSize(found: Found, facts: ModelFacts, workflow: Workflow): { found: Found; ignored: string[] } {
  const given = givenFor(found, "size");
  const wanted = typeof given === "string" ? parseSize(given) : null;
  // Upstream's own words like 2K, and texts that are no size, are left to the check.
  if (wanted === null) return { found, ignored: [] };
  const size = nearestSize(sizesFor(facts, workflow), wanted);
  return { found: withValue(found, "size", size), ignored: size === null ? ["size"] : [] };
}

/** The jobs that make the images: several when one makes fewer than requested. */
function partsOf(c: HttpContext, workflow: Workflow, found: Found, facts: ModelFacts | null): CheckedSubmission[] {
  const config = c.get("config");
  const n = Number(givenFor(found, "n") ?? 1);
  if (facts === null || n <= facts.maxN) return [checkSubmission(workflow, found, config)];
  const seed = givenFor(found, "seed");
  let made = 0;
  return jobCounts(n, facts.maxN).map((count) => {
    const counted = withValue(found, "n", count);
    // Upstream increases the seed by one for each image of a job. The next job continues in the same way.
    const seeded = typeof seed === "number" ? withValue(counted, "seed", (seed + made) % (MAX_SEED + 1)) : counted;
    made += count;
    return checkSubmission(workflow, seeded, config);
  });
}

async function readAsked(c: HttpContext, workflow: Workflow, uploads: Uploads): Promise<Asked> {
  const body = await readBody(c, "a request", MAX_BODY_BYTES, uploads);
  const asked = openaiRequest(workflow, body);
  if ("param" in asked) {
    const { param, message } = asked;
    const path = param === "" ? "" : `/${param}`;
    throw new ProblemError("invalid_request", param === "" ? `${message}.` : `${param} ${message}.`, {
      errors: [{ path, message }],
    });
  }
  const { options, ignored, user } = asked;
  const facts = modelOf(c, workflow, asked.found);
  if (facts === null) return { user, parts: partsOf(c, workflow, asked.found, null), options, ignored };
  const sized = withNearestSize(asked.found, facts, workflow);
  const fitting = withoutUnsupported(sized.found, facts.supports);
  return {
    user,
    parts: partsOf(c, workflow, fitting.found, facts),
    options,
    ignored: [...ignored, ...sized.ignored, ...fitting.ignored],
  };
}

/** A stored image in the form of an answer. */
interface ReadyImage extends AnsweredImage {
  readonly key: string;
}

/** The image in the requested format, made on first use; the original when that is not possible. */
async function readyImage(
  c: HttpContext,
  client: string,
  view: JobView,
  index: number,
  options: AnswerOptions,
): Promise<ReadyImage | null> {
  const found = await jobStub(c.env, view.id).image(client, index);
  if (!found.ok) return null;
  const shown = view.output?.images.find((image) => image.index === index);
  const { width = 0, height = 0 } = shown ?? {};
  const url = linksFor(c).image(view.id, index);
  const original = { key: found.key, url, contentType: found.contentType, width, height };
  const { outputFormat, outputCompression } = options;
  const isAsMade = outputFormat === null || (found.contentType === `image/${outputFormat}` && outputFormat === "png");
  if (isAsMade) return original;
  // OpenAI's 0 becomes our lowest quality.
  const quality = outputCompression === null ? null : Math.max(1, outputCompression);
  const variant = variantOf(null, outputFormat, quality);
  const key = await variantKeyOf(c, found, variant);
  if (key === null) return original;
  const query = new URLSearchParams({ format: outputFormat });
  if (quality !== null && outputFormat !== "png") query.set("q", String(quality));
  const size = variantSize({ width, height }, variant);
  return { key, url: `${url}${url.includes("?") ? "&" : "?"}${query}`, contentType: contentTypeOf(variant), ...size };
}

/** The key of the variant; null when none can be made. */
async function variantKeyOf(
  c: HttpContext,
  image: { readonly key: string; readonly contentType: string; readonly bytes: number },
  variant: Variant,
): Promise<string | null> {
  const { IMAGES: images } = c.env as Env & { readonly IMAGES?: ImagesBinding };
  const keepAlive = (work: Promise<unknown>) => c.executionCtx.waitUntil(work.catch(() => undefined));
  for (let tries = 0; tries < VARIANT_TRIES; tries++) {
    if (tries > 0) await scheduler.wait(VARIANT_AGAIN_MS);
    const maker = { bucket: c.env.RESULTS, images: images ?? null, keepAlive };
    const answer = await findOrMakeVariant(maker, image, variant);
    if (answer.kind === "stored") return answer.key;
    if (answer.kind !== "busy") return null;
  }
  return null;
}

/**
 * The least time, in ms, for the images of a job that ends in the last moments of the hold. Node's fetch gives up 20 s after
 * the hold.
 */
const LEAST_FOR_IMAGES_MS = 2_000;

/** What answering a request needs. */
interface Answering extends Pick<PlacedRequest, "client" | "jobs" | "hold"> {
  readonly options: AnswerOptions;
  /** When the answer stops waiting for its jobs. */
  readonly endsAtMs: number;
  /** When the answer stops waiting for the images of finished jobs. `Prefer: wait` does not shorten this. */
  readonly imagesEndAtMs: number;
}

/** The images of finished jobs; null when they are not ready in time. Variants that are being made are still stored. */
async function readyImages(
  c: HttpContext,
  views: readonly JobView[],
  { client, options, imagesEndAtMs }: Answering,
): Promise<readonly ReadyImage[] | null> {
  const boundMs = Math.max(imagesEndAtMs - Date.now(), LEAST_FOR_IMAGES_MS);
  return await orAfter(boundMs, imagesOf(c, client, views, options), null);
}

async function imagesOf(c: HttpContext, client: string, views: readonly JobView[], options: AnswerOptions) {
  const ready: ReadyImage[] = [];
  for (const view of views) {
    for (const { index } of view.output?.images ?? []) {
      const image = await readyImage(c, client, view, index, options);
      if (image !== null) ready.push(image);
    }
  }
  return ready;
}

const utf8 = new TextEncoder();

/** A stored image in base64, read while it is sent, so that one chunk at a time is in memory. */
async function* base64Of(c: HttpContext, key: string): AsyncGenerator<Uint8Array> {
  const object = await fromR2(c.env.RESULTS.get(key));
  if (object === null) throw new Error("an image is gone while it is sent");
  const stop = new AbortController();
  const chunks = byteChunks(object.body, CHUNK_BYTES, stop.signal);
  try {
    for (;;) {
      const { value, done } = await fromR2(chunks.next());
      if (done === true || value === undefined) return;
      yield utf8.encode(value.toBase64());
    }
  } finally {
    // Not `chunks.return()`: it waits for a read that may never end.
    stop.abort();
  }
}

async function* answerChunks(c: HttpContext, texts: readonly string[], images: readonly ReadyImage[]) {
  for (const [index, text] of texts.entries()) {
    const image = images[index];
    yield utf8.encode(text);
    if (index < texts.length - 1 && image !== undefined) yield* base64Of(c, image.key);
  }
}

/** The error about jobs that are not done, or about finished jobs whose images cannot be sent yet. */
function stillRunning(jobs: readonly JobView[]): OpenaiError {
  const running = jobs.filter(({ done }) => !done);
  const ids = (running.length === 0 ? jobs : running).map(({ id }) => id);
  const message = `The image is not ready yet. The same request again takes the same job, and pays nothing: ${ids.join(", ")}.`;
  return { message, type: "server_error", param: null, code: "job_still_running" };
}

const STILL_RUNNING_HEADERS = { "Retry-After": "1", "X-Should-Retry": "true" };

/** When the request's first job was made, in epoch seconds. */
function createdOf([first]: readonly JobView[]): number {
  return Math.floor(Date.parse(first?.createdAt ?? "") / 1000);
}

async function wholeAnswer(
  c: HttpContext,
  answering: Answering,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  const { client, jobs, hold, options, endsAtMs } = answering;
  const views = await Promise.all(jobs.map((job) => onceDone(c, client, job, endsAtMs)));
  const images = views.every(({ done }) => done) ? await readyImages(c, views, answering) : null;
  if (images === null) {
    await hold?.undelivered();
    return Response.json(errorBody(stillRunning(views)), {
      status: 504,
      headers: { ...headers, ...STILL_RUNNING_HEADERS },
    });
  }
  if (images.length === 0) {
    const failed = failedAnswer(views);
    return heldJson(hold, errorBody(failed.error), failed.status, { ...headers, "X-Should-Retry": "false" });
  }
  const texts = imagesAnswer(images, createdOf(views), options.responseFormat);
  const body = heldBody(hold, answerChunks(c, texts, images), "}");
  return new Response(body, { headers: { ...headers, "Content-Type": "application/json" } });
}

/** The work's result, with a heartbeat every `HEARTBEAT_MS` until it is there. */
async function* withHeartbeats<Result>(work: Promise<Result>): AsyncGenerator<Uint8Array, Result> {
  for (;;) {
    const settled = await Promise.race([work.then(() => true), scheduler.wait(HEARTBEAT_MS).then(() => false)]);
    if (settled) return await work;
    yield utf8.encode(HEARTBEAT);
  }
}

async function* streamChunks(c: HttpContext, workflow: Workflow, answering: Answering): AsyncGenerator<Uint8Array> {
  const { client, jobs, hold, options, endsAtMs } = answering;
  // Sends the answer's headers to the client.
  yield utf8.encode(HEARTBEAT);
  const views: JobView[] = [];
  let sent = 0;
  for (const job of jobs) {
    const view = yield* withHeartbeats(onceDone(c, client, job, endsAtMs));
    const images = view.done ? yield* withHeartbeats(readyImages(c, [view], answering)) : null;
    if (images === null) {
      await hold?.undelivered();
      yield utf8.encode(errorEvent(stillRunning([view])));
      return;
    }
    views.push(view);
    for (const image of images) {
      const [before, after] = completedEvent(workflow, image, createdOf([view]), options.responseFormat);
      yield utf8.encode(before);
      yield* base64Of(c, image.key);
      yield utf8.encode(after);
      sent += 1;
    }
  }
  if (sent === 0) yield utf8.encode(errorEvent(failedAnswer(views).error));
}

/** A stream whose last event reports the error that broke it. */
async function* orErrorEvent(c: HttpContext, chunks: AsyncGenerator<Uint8Array>, hold: Hold | null) {
  try {
    yield* chunks;
  } catch (error) {
    await hold?.undelivered();
    console.error({ event: "stream_failed", requestId: c.get("requestId"), error: String(error) });
    const problem = error instanceof ProblemError ? error : new ProblemError("internal", "The stream broke.");
    yield utf8.encode(errorEvent(openaiError(problem.code, statusOf(problem), problem.message, undefined)));
  }
}

/** How many ignored fields a header names. A proxy refuses headers of many kilobytes. */
const MAX_IGNORED_NAMED = 20;

async function images(c: HttpContext, workflow: Workflow): Promise<Response> {
  const receivedAtMs = Date.now();
  let asked: Asked | null = null;
  const placed = await placeRequest(c, { name: `openai ${workflow}`, isHeld: true }, async (uploads) => {
    asked = await readAsked(c, workflow, uploads);
    return asked;
  });
  const { options, ignored } = asked as unknown as Asked;
  const headers: Record<string, string> = { ...placed.headers };
  if (ignored.length > 0) {
    const more = ignored.length > MAX_IGNORED_NAMED ? ", ..." : "";
    headers["X-Darkroom-Ignored"] = ignored.slice(0, MAX_IGNORED_NAMED).map(headerSafe).join(", ") + more;
  }
  const answering: Answering = {
    ...placed,
    options,
    endsAtMs: holdEndsAtMs(c, receivedAtMs),
    // Counted from the end of the body, as a client does: sending the body may take minutes.
    imagesEndAtMs: Date.now() + HOLD_MS,
  };
  try {
    if (!options.stream) return await wholeAnswer(c, answering, headers);
    const chunks = streamChunks(c, workflow, answering);
    const body = heldBody(placed.hold, orErrorEvent(c, chunks, placed.hold), END);
    return new Response(body, { headers: { ...headers, "Content-Type": "text/event-stream; charset=utf-8" } });
  } catch (error) {
    await placed.hold?.undelivered();
    throw withHeaders(c, error, placed.headers);
  }
}

/** A client's own name for something, made safe for a header. */
function headerSafe(name: string): string {
  return name.slice(0, 64).replace(/[^\w.[\]-]/g, "?");
}

function listModels(c: HttpContext): Response {
  requireAsker(c);
  const { modelTable, ...settings } = c.get("config");
  const data = modelTable.infos(settings).map(({ model }) => listedModel(model));
  return Response.json({ object: "list", data });
}

function showModel(c: HttpContext): Response {
  requireAsker(c);
  const name = c.req.param("id") ?? "";
  const { modelTable } = c.get("config");
  if (modelTable.facts(name) === null) throw new ModelNotFound(name, modelTable.names);
  return Response.json(listedModel(name));
}

const routes = new Hono<HttpEnv>()
  .post("/v1/images/generations", (c) => images(c, "image-from-text"))
  .post("/v1/images/edits", (c) => images(c, "image-from-reference"))
  .get("/v1/models", listModels)
  .get("/v1/models/:id", showModel);

/** The OpenAI-compatible Images API, below `/v1`. */
export const openaiApp = protocolApp({ routes, refuse });
