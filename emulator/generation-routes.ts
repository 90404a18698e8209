import { randomBytes } from "node:crypto";
import { Hono } from "hono";
import { API_PREFIX, wireHeaders, wirePaths } from "../worker/dashscope/wire.ts";
import { acceptedAnswer, promptedAnswer, syncAnswer } from "./core/answer-body.ts";
import { refusalOf, type WireRefusal } from "./core/error-table.ts";
import type { Fault } from "./core/fault.ts";
import { taskIdOf } from "./core/ids.ts";
import {
  bearerKey,
  checkFront,
  checkParameters,
  type Endpoint,
  parseJson,
  peek,
  type Submission,
  wantsTask,
} from "./core/request-check.ts";
import { quotaOf } from "./core/settings.ts";
import type { TaskFate } from "./core/task-board.ts";
import { arrive, type Emulator, hashKey } from "./emulator.ts";
import { earlyAnswer, lateAnswer, type Outcome } from "./fault-answer.ts";
import { billNow, makeImages, readInputs, shown, type Work, workMs } from "./generation.ts";
import type { CallStart } from "./journal.ts";
import {
  type Arrival,
  cut,
  type EmulatorContext,
  type EmulatorEnv,
  isGone,
  refusalResponse,
  wireResponse,
} from "./wire-response.ts";

/** Three images of 10 MB in base64, with room to spare. The gateway's real limit is unknown. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Required when an input is an `oss://` address. */
const OSS_RESOLVE_HEADER = "x-dashscope-ossresourceresolve";
const UPLOAD_KEPT_MS = 48 * 3_600_000;

/** One submission while it is checked. */
interface Call {
  readonly c: EmulatorContext;
  readonly emulator: Emulator;
  readonly arrival: Arrival;
  readonly note: CallStart;
  readonly fault: Fault | null;
  readonly submission: Submission;
}

function refused(call: Call, refusal: WireRefusal, retryAfter?: string): Outcome {
  const { emulator, arrival } = call;
  return {
    response: refusalResponse(emulator, arrival, refusal, retryAfter),
    status: refusal.status,
    code: refusal.code,
  };
}

/** The checks in upstream's order, up to the work. */
async function accept(call: Call): Promise<{ readonly work: Work } | { readonly outcome: Outcome }> {
  const { emulator, submission, fault, note } = call;
  const { state } = emulator;
  const { settings } = state;
  const front = checkFront(submission, settings);
  if (!front.ok) return { outcome: refused(call, front.refusal) };
  const model = front.value;
  const keyHash = note.keyHash ?? "";
  if (!state.takeStart(keyHash, model)) return { outcome: refused(call, refusalOf("Throttling.RateQuota")) };
  const asTask = wantsTask(submission);
  const base = { callId: note.id, requestId: note.requestId, keyHash, model, asTask };
  const order = checkParameters(model, submission.endpoint, submission.json, settings.maxSizes);
  if (!order.ok) {
    const isLegacy = submission.endpoint === "text2image" || submission.endpoint === "image2image";
    const failsLater = asTask && isLegacy && settings.legacyBadParameters === "fail-task";
    if (!failsLater || order.order === undefined) return { outcome: refused(call, order.refusal) };
    const { code, message } = order.refusal;
    return { work: { ...base, order: order.order, inputs: [], fault, failsWith: { code, message } } };
  }
  const inputs = await readInputs(order.value, (address) => openUpload(call, keyHash, model.name, address));
  if (!inputs.ok) return { outcome: refused(call, inputs.refusal) };
  return { work: { ...base, order: order.value, inputs: inputs.value, fault, failsWith: null } };
}

/** An upload is valid for two days, for the key and model it was made for, and only when the header requests it. */
function openUpload({ c, emulator }: Call, keyHash: string, model: string, address: string): Buffer | null {
  const upload = emulator.state.upload(address.replace(/^oss:\/\//, ""));
  const isAsked = c.req.header(OSS_RESOLVE_HEADER)?.toLowerCase() === "enable";
  if (upload === null || !isAsked || upload.keyHash !== keyHash || upload.model !== model) return null;
  return emulator.clock.now() - upload.atMs > UPLOAD_KEPT_MS ? null : emulator.uploads.read(upload.sha256);
}

/** Does the work while the caller waits. A caller that hangs up is billed too. */
async function generate(call: Call, work: Work): Promise<Outcome> {
  const { emulator, arrival, fault } = call;
  const { clock, state, stopping } = emulator;
  const { gatewayTimeoutMs } = state.settings;
  const takesMs = workMs(emulator, fault);
  if (takesMs > gatewayTimeoutMs) {
    await clock.sleep(gatewayTimeoutMs, stopping);
    return refused(call, refusalOf("RequestTimeOut"));
  }
  if (fault?.type === "error" && fault.afterWork) {
    await clock.sleep(takesMs, stopping);
    return refused(call, refusalOf(fault.code, fault.message, fault.status), fault.retryAfter);
  }
  const [images] = await Promise.all([makeImages(emulator, work), clock.sleep(takesMs, stopping)]);
  // A stopping server sends no answer, and bills nothing unfinished.
  if (stopping.aborted) return { response: cut(call.c), status: null };
  const billed = billNow(emulator, images);
  if (fault?.type === "hold" && fault.at === "answer") {
    await emulator.holds.wait({ callId: work.callId, prompt: work.order.prompt, at: "answer" }, stopping);
  }
  const made = await shown(emulator, billed);
  const isPrompted = call.submission.endpoint === "text2image";
  const body = isPrompted
    ? promptedAnswer(work.order, made, taskIdOf(randomBytes(16)), work.requestId)
    : syncAnswer(work.model, work.order, made, work.requestId);
  const sent = await lateAnswer(call.c, clock, arrival, fault, body);
  return { ...(sent ?? { response: wireResponse(clock, arrival, body), status: 200 }), billedImages: billed.length };
}

function fateOf(fault: Fault | null): TaskFate {
  switch (fault?.type) {
    case "task-unknown":
      return { kind: "unknown" };
    case "task-failed":
      return { kind: "fail", code: fault.code };
    case "task-stuck":
      return { kind: "stuck", status: fault.status };
    default:
      return { kind: "succeed", failedImages: fault?.type === "task-partial" ? fault.failed : 0 };
  }
}

/** Accepts a task. Its images are drawn now and billed when it ends. */
async function submit(call: Call, work: Work): Promise<Outcome> {
  const { emulator, arrival, fault } = call;
  const { clock, state } = emulator;
  const inProgress = quotaOf(state.settings, work.model)?.inProgress ?? null;
  if (inProgress !== null && state.settings.taskOverflow === "refuse") {
    if (state.openTasks(work.keyHash, work.model.name) >= inProgress) {
      return refused(call, refusalOf("Throttling.RateQuota", "You have exceeded your request limit."));
    }
  }
  const fate: TaskFate = work.failsWith === null ? fateOf(fault) : { kind: "fail", ...work.failsWith };
  const id = taskIdOf(randomBytes(16));
  const images = fate.kind === "succeed" ? await makeImages(emulator, work) : [];
  state.takeTask({
    id,
    callId: work.callId,
    requestId: work.requestId,
    keyHash: work.keyHash,
    model: work.model.name,
    family: work.model.family,
    order: { ...work.order, images: work.order.images.map((source) => source.slice(0, 80)) },
    submittedAtMs: clock.now(),
    durationMs: work.failsWith === null ? workMs(emulator, fault) : 0,
    inProgress,
    fate,
    unseenReads: fault?.type === "task-unseen" ? fault.reads : 0,
    images: images
      .slice(0, Math.max(0, images.length - (fate.kind === "succeed" ? fate.failedImages : 0)))
      .map((image) => ({ ...image, taskId: id })),
  });
  if (fault?.type === "hold" && fault.at === "answer") {
    await emulator.holds.wait({ callId: work.callId, prompt: work.order.prompt, at: "answer" }, emulator.stopping);
  }
  const body = acceptedAnswer(id, work.requestId);
  const sent = await lateAnswer(call.c, clock, arrival, fault, body);
  return { ...(sent ?? { response: wireResponse(clock, arrival, body), status: 200 }), taskId: id };
}

async function answer(call: Call): Promise<Outcome> {
  const { emulator, arrival, fault } = call;
  const early = await earlyAnswer(call.c, emulator, arrival, call.note, fault);
  if (early !== null) return early;
  const accepted = await accept(call);
  if ("outcome" in accepted) return accepted.outcome;
  const { work } = accepted;
  return work.asTask ? submit(call, work) : generate(call, work);
}

async function readBody(c: EmulatorContext): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of c.env.incoming) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function handle(emulator: Emulator, endpoint: Endpoint, c: EmulatorContext): Promise<Response> {
  const { state, clock } = emulator;
  const arrival = arrive(emulator);
  const text = await readBody(c);
  const json = text === null ? undefined : parseJson(text);
  const authorization = c.req.header(wireHeaders.authorization) ?? null;
  const key = bearerKey(authorization);
  const { call: note, fault } = state.openCall({
    atMs: arrival.atMs,
    kind: "submit",
    method: "POST",
    path: c.req.path,
    requestId: arrival.requestId,
    keyHash: key === null ? null : hashKey(key),
    ...peek(json),
  });
  const asyncHeader = c.req.header(wireHeaders.async) ?? null;
  const call = { c, emulator, arrival, note, fault, submission: { endpoint, authorization, asyncHeader, json } };
  const outcome = text === null ? refused(call, refusalOf("BadRequest.TooLarge")) : await answer(call);
  state.closeCall({
    id: note.id,
    endedAtMs: clock.now(),
    status: outcome.status,
    code: outcome.code ?? null,
    taskId: outcome.taskId ?? null,
    billedImages: outcome.billedImages ?? 0,
    clientGone: outcome.status !== null && isGone(c),
  });
  return outcome.response;
}

/** The four paths that make images. */
export function generationRoutes(emulator: Emulator): Hono<EmulatorEnv> {
  const routes = new Hono<EmulatorEnv>();
  const endpoints: readonly Endpoint[] = ["multimodalGeneration", "text2image", "image2image", "imageGeneration"];
  for (const endpoint of endpoints) {
    routes.post(`${API_PREFIX}${wirePaths[endpoint]}`, (c) => handle(emulator, endpoint, c));
  }
  return routes;
}
