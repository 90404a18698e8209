import { createHash } from "node:crypto";
import { acceptedAnswer, syncAnswer, taskAnswer, unknownTaskAnswer } from "../emulator/core/answer-body.ts";
import { refusalOf } from "../emulator/core/error-table.ts";
import type { Model } from "../emulator/core/model-table.ts";
import { admit } from "../emulator/core/quota-window.ts";
import {
  checkFront,
  checkParameters,
  type Endpoint,
  parseJson,
  type WorkOrder,
} from "../emulator/core/request-check.ts";
import { DEFAULT_SETTINGS } from "../emulator/core/settings.ts";
import { TaskBoard, type TaskFate } from "../emulator/core/task-board.ts";
import { plainFile } from "../emulator/drawing/png.ts";
import { API_PREFIX, wireHeaders, wirePaths } from "../worker/dashscope/wire.ts";
import { currentActor } from "./engine/actor.ts";
import type { FaultName, Strike } from "./engine/faults.ts";
import { between, spread } from "./engine/random.ts";
import type { Sim } from "./engine/sim.ts";
import { OPERATED_FROM } from "./plan.ts";
import { type BrokenBody, byteStream, bytesOf, SimResponse } from "./platform/bodies.ts";
import { Instance } from "./platform/objects.ts";
import { RECEIVER_HOST } from "./receiver.ts";
import { storedDeliveries } from "./stored-job.ts";

export interface UpstreamQuota {
  readonly starts: number;
  readonly periodMs: number;
}

export interface UpstreamSettings {
  readonly budgetMs: number;
  readonly lateMs: number;
  /** Within this time all of upstream's machines know a task that was accepted. */
  readonly tasksKnownMs: number;
  readonly taskSlots: number;
  quotaOf(model: string): UpstreamQuota;
}

/** A submission by a job's object. */
export interface SubmitCall {
  readonly jobId: string;
  readonly attempt: number | null;
  readonly host: string;
  readonly model: string;
  /** When the object called. The call left once earlier writes were durable. */
  readonly calledAtMs: number;
  /** The call has left its object: the writes before it are durable. */
  hasLeft: boolean;
  taskId: string | null;
  /** The model that upstream read; empty before that. */
  readModel: string;
  /** How many images were made and charged. */
  billed: number;
}

interface Result {
  readonly call: SubmitCall;
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly expiresAtMs: number;
}

interface Task {
  readonly id: string;
  readonly keyHash: string;
  readonly model: string;
  readonly family: Model["family"];
  readonly order: WorkOrder;
  readonly submittedAtMs: number;
  readonly durationMs: number;
  readonly inProgress: number | null;
  readonly fate: TaskFate;
  readonly call: SubmitCall;
}

/** Upstream's answer to one request. `body: null`: no body. */
interface Answer {
  readonly status: number;
  readonly body: string | Uint8Array | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly broken?: BrokenBody;
  /** It has links or a task. */
  readonly isGood?: boolean;
}

const RESULTS_HOST = "results.example";
const LINK_MS = 24 * 3_600_000;
/** The platform's `fetch` reads through its zone's cache, which keeps a 404 of a picture for this long. */
const NOT_FOUND_CACHED_MS = 180_000;
const GATEWAY_TIMEOUT_MS = 298_000;
const KEY = "sk-simulated";

interface TaskCall {
  readonly call: SubmitCall;
  readonly fault: FaultName | null;
  reads: number;
}

/** DashScope in virtual time: the emulator's own checks, answers and tasks, with the run's faults. */
export class Upstream {
  readonly calls: SubmitCall[] = [];
  readonly results = new Map<string, Result>();
  readonly #sim: Sim;
  readonly #settings: UpstreamSettings;
  readonly #board = new TaskBoard<Task>();
  readonly #tasks = new Map<string, TaskCall>();
  readonly #taskLinks = new Map<string, string[]>();
  readonly #starts = new Map<string, readonly number[]>();
  readonly #lastGood = new Map<string, object>();
  #requests = 0;
  /** Until when the platform's cache answers that a picture is not found. */
  readonly #notFoundUntilMs = new Map<string, number>();
  /** The newest attempt in a job's record at the time of the call. */
  attemptOf: (jobId: string) => number | null = () => null;
  onDelivered: (call: SubmitCall, instance: Instance) => void = () => undefined;
  onLeft: (call: SubmitCall) => void = () => undefined;
  onSubmit: (instance: Instance) => void = () => undefined;
  /** Images were made and charged. */
  onCharged: (call: SubmitCall) => void = () => undefined;
  /** Returns the status that a webhook's receiver answers. `isGone`: when it was sent, the job knew of an earlier 410. */
  onWebhook: (instance: Instance, headers: Headers, body: string, isGone: boolean) => number = () => 200;

  constructor(sim: Sim, settings: UpstreamSettings) {
    this.#sim = sim;
    this.#settings = settings;
  }

  /** `fetch`, as the product calls it. */
  fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const sim = this.#sim;
    const actor = currentActor();
    if (!(actor instanceof Instance)) throw new Error(`only objects call upstream, not ${actor?.name ?? "nobody"}`);
    const { pathname, host } = new URL(url);
    const signal = init.signal ?? null;
    const jobId = actor.object.name;
    const isSubmit = pathname.startsWith(`${API_PREFIX}/services/`);
    const call = isSubmit ? this.#noteCall(jobId, host, init, actor) : null;
    const isWebhook = host === RECEIVER_HOST;
    const isGone =
      isWebhook &&
      actor.object.kind === "JOBS" &&
      storedDeliveries(actor.object.storage).some(({ state }) => state === "gone");
    const what = isSubmit
      ? "submit"
      : isWebhook
        ? "webhook"
        : host === RESULTS_HOST
          ? "result"
          : pathname.replace(API_PREFIX, "");
    const label = `${jobId} ${what}`;
    const ended = actor.object.host.pending(actor);
    return new Promise<Response>((resolve, reject) => {
      let isOver = false;
      const settle = (work: () => void) => {
        if (isOver) return;
        isOver = true;
        ended();
        actor.enter(work);
      };
      const onAbort = () => settle(() => reject(signal?.reason));
      if (signal?.aborted) {
        onAbort();
        return;
      }
      signal?.addEventListener("abort", onAbort, { once: true });
      const fail = (delayMs: number) =>
        sim.clock.after(delayMs, () => settle(() => reject(new TypeError("Network connection lost."))));
      const sent = bodyText(init.body ?? null);
      sent.then(
        (text) =>
          actor.send(() => {
            const strike = sim.strike("fetch", label);
            const fault = sim.away.has("upstream") ? "fetch lost before" : strike?.fault;
            sim.tell(() => `${sim.named(actor.name)} calls upstream: ${init.method ?? "GET"} ${what}`);
            if (call !== null) {
              call.hasLeft = true;
              this.onLeft(call);
            }
            if (fault === "fetch lost before") fail(sim.delayMs(`lost ${label}`, 5, 3_000));
            if (fault === "fetch lost before" || fault === "fetch hangs before") return;
            sim.clock.after(sim.delayMs(`fetch ${label}`, 5, 120), () => {
              const back = (answer: Answer, delayMs: number) => {
                if (fault === "fetch lost after") fail(delayMs);
                if (fault === "fetch lost after" || fault === "fetch hangs after") return;
                sim.clock.after(delayMs + sim.delayMs(`fetch back ${label}`, 5, 120), () => {
                  const broken = brokenBody(fault, answer, signal);
                  settle(() => {
                    sim.tell(() => `upstream answers ${sim.named(actor.name)} ${answer.status} to ${what}`);
                    resolve(responseOf({ ...answer, ...broken }));
                    if (call !== null && answer.isGood === true && broken.broken === undefined) {
                      this.onDelivered(call, actor);
                    }
                  });
                });
              };
              if (isWebhook) {
                const status = this.onWebhook(actor, new Headers(init.headers), text, isGone);
                back({ status, body: "noted" }, 0);
              } else this.#handle(url, init, text, jobId, call, back);
            });
          }),
        () => fail(5),
      );
    });
  }

  /** Whether the result of the call is still available: its links, or its task unless that failed or was canceled. */
  isAlive({ taskId }: SubmitCall): boolean {
    if (taskId === null) return true;
    if (this.#tasks.get(taskId)?.fault === "task unknown for good") return false;
    const status = this.#board.view(taskId, this.#sim.nowMs, LINK_MS)?.status;
    return status === "PENDING" || status === "RUNNING" || status === "SUCCEEDED";
  }

  /** Charges for what tasks have made by now. */
  settleTasks(): void {
    for (const { facts } of this.#board.advance(this.#sim.nowMs)) {
      if (facts.fate.kind !== "succeed") continue;
      const made = Math.max(0, facts.order.n - facts.fate.failedImages);
      this.#taskLinks.set(facts.id, this.#make(facts.call, facts.order, made));
    }
  }

  #noteCall(jobId: string, host: string, init: RequestInit, instance: Instance): SubmitCall {
    const body = typeof init.body === "string" ? parseJson(init.body) : null;
    const model = typeof body === "object" && body !== null && "model" in body ? String(body.model) : "";
    const call: SubmitCall = {
      jobId,
      attempt: this.attemptOf(jobId),
      host,
      model,
      calledAtMs: this.#sim.nowMs,
      hasLeft: false,
      taskId: null,
      readModel: "",
      billed: 0,
    };
    this.calls.push(call);
    this.onSubmit(instance);
    return call;
  }

  #handle(
    url: string,
    init: RequestInit,
    text: string,
    jobId: string,
    call: SubmitCall | null,
    answer: (answer: Answer, delayMs: number) => void,
  ): void {
    const sim = this.#sim;
    const { pathname, host } = new URL(url);
    this.#requests += 1;
    const requestId = `req-${String(this.#requests).padStart(6, "0")}`;
    if (host === RESULTS_HOST) {
      const isCached = init.cache !== "no-store" && sim.nowMs < (this.#notFoundUntilMs.get(url) ?? 0);
      const download = isCached ? { answer: xml(404, "NoSuchKey"), delayMs: 1 } : this.#download(url);
      if (download?.answer.status === 404 && !isCached) this.#notFoundUntilMs.set(url, sim.nowMs + NOT_FOUND_CACHED_MS);
      if (download !== null) answer(download.answer, download.delayMs);
      return;
    }
    if (call !== null) {
      this.#submit(pathname, init, text, jobId, call, requestId, answer);
      return;
    }
    const [, , , , taskId = "", verb] = pathname.split("/");
    this.settleTasks();
    if (verb === "cancel") answer(this.#cancel(taskId, requestId), 0);
    else answer(this.#readTask(taskId, requestId), 0);
  }

  #submit(
    pathname: string,
    init: RequestInit,
    text: string,
    jobId: string,
    call: SubmitCall,
    requestId: string,
    answer: (answer: Answer, delayMs: number) => void,
  ): void {
    const sim = this.#sim;
    const headers = new Headers(init.headers);
    const endpoint = endpointOf(pathname);
    const json = parseJson(text);
    const submission = {
      endpoint,
      authorization: headers.get(wireHeaders.authorization),
      asyncHeader: headers.get(wireHeaders.async),
      json,
    };
    const front = checkFront(submission, { ...DEFAULT_SETTINGS, apiKeys: [KEY] });
    if (!front.ok) {
      answer(refusal(front.refusal.code, requestId), 0);
      return;
    }
    const model = front.value;
    call.readModel = model.name;
    const strike = sim.strike("submit", jobId);
    const quota = this.#settings.quotaOf(model.name);
    const lane = `${model.name}`;
    const { admitted, kept } = admit("sliding", quota, this.#starts.get(lane) ?? [], sim.nowMs);
    this.#starts.set(lane, admitted ? [...kept, sim.nowMs] : kept);
    if (!admitted)
      sim.tell(
        () => `upstream throttles ${sim.named(jobId)}: more than ${quota.starts} starts in ${quota.periodMs} ms`,
      );
    if (!admitted || strike?.fault === "upstream 429") {
      answer(refusal("Throttling.RateQuota", requestId), 20);
      return;
    }
    const checked = checkParameters(model, endpoint, json, "five");
    if (!checked.ok) {
      answer(refusal(checked.refusal.code, requestId, checked.refusal.message), 20);
      return;
    }
    const early = earlyAnswer(strike, requestId);
    if (early !== null) {
      answer(early, 30);
      return;
    }
    const again = strike?.fault === "answer again" ? this.#lastGood.get(jobId) : undefined;
    if (again !== undefined) {
      answer({ ...jsonAnswer(again), isGood: true }, 500);
      return;
    }
    if (endpoint !== "multimodalGeneration") {
      const id = this.#takeTask(model, checked.value, call, strike);
      answer({ ...jsonAnswer(acceptedAnswer(id, requestId)), isGood: true }, 50);
      return;
    }
    const takesMs = this.#workMs(jobId, strike);
    if (takesMs > GATEWAY_TIMEOUT_MS && strike?.fault !== "upstream very slow") {
      answer(refusal("RequestTimeOut", requestId), GATEWAY_TIMEOUT_MS);
      return;
    }
    if (strike?.fault === "upstream timeout") {
      answer(refusal("RequestTimeOut", requestId), takesMs);
      return;
    }
    sim.clock.after(takesMs, () => {
      const links = this.#make(call, checked.value, checked.value.n);
      const images = links.map((url) => ({ url, width: 16, height: 16 }));
      const body = syncAnswer(model, checked.value, images, requestId);
      this.#lastGood.set(jobId, body);
      answer(spoilt(strike?.fault ?? null, body, requestId) ?? { ...jsonAnswer(body), isGood: true }, 0);
    });
  }

  #workMs(jobId: string, strike: Strike | null): number {
    const { budgetMs, lateMs } = this.#settings;
    if (strike?.fault === "upstream slow") return spread(strike.random, budgetMs, Math.max(budgetMs + 1, lateMs));
    if (strike?.fault === "upstream very slow") return spread(strike.random, lateMs, 3 * lateMs);
    return this.#sim.delayMs(`work ${jobId}`, budgetMs / 6, budgetMs);
  }

  /** Makes and charges images; returns their links. */
  #make(call: SubmitCall, order: WorkOrder, count: number): string[] {
    const { nowMs } = this.#sim;
    call.billed += count;
    this.#sim.tell(() => `upstream makes and charges ${count} for ${this.#sim.named(call.jobId)}`);
    this.onCharged(call);
    return Array.from({ length: count }, (_none, index) => {
      const seed = (order.seed ?? 0) + this.results.size;
      const source = { prompt: order.prompt, model: call.model, width: 16, height: 16, seed, index };
      const bytes = new Uint8Array(plainFile(source, null));
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const path = `/${call.jobId}/${this.results.size}.png`;
      const expiresAtMs = nowMs + LINK_MS;
      this.results.set(path, { call, bytes, sha256, expiresAtMs });
      return `https://${RESULTS_HOST}${path}?Expires=${Math.floor(expiresAtMs / 1000)}&Signature=simulated`;
    });
  }

  #takeTask(model: Model, order: WorkOrder, call: SubmitCall, strike: Strike | null): string {
    const sim = this.#sim;
    const id = `task-${String(this.#tasks.size + 1).padStart(4, "0")}`;
    const onTask = sim.strike("task", call.jobId);
    const fate: TaskFate =
      onTask?.fault === "task failed"
        ? { kind: "fail", code: "InternalError.Algo" }
        : onTask?.fault === "task stuck"
          ? { kind: "stuck", status: "RUNNING" }
          : { kind: "succeed", failedImages: onTask?.fault === "task partial" && order.n > 1 ? 1 : 0 };
    call.taskId = id;
    this.#tasks.set(id, { call, fault: onTask?.fault ?? null, reads: 0 });
    this.settleTasks();
    this.#board.add({
      id,
      keyHash: "",
      model: model.name,
      family: model.family,
      order,
      submittedAtMs: sim.nowMs,
      durationMs: this.#workMs(call.jobId, strike),
      inProgress: this.#settings.taskSlots,
      fate,
      call,
    });
    if (onTask?.fault === "task canceled" && sim.seed >= OPERATED_FROM)
      sim.clock.after(spread(onTask.random, 1, 20_000), () => this.#board.cancel(id, sim.nowMs));
    return id;
  }

  #readTask(id: string, requestId: string): Answer {
    const known = this.#tasks.get(id);
    const view = this.#board.view(id, this.#sim.nowMs, LINK_MS);
    if (known === undefined || view === null) return jsonAnswer(unknownTaskAnswer(id, requestId));
    known.reads += 1;
    if (this.#isUnknown(id, known)) return jsonAnswer(unknownTaskAnswer(id, requestId));
    const images = (this.#taskLinks.get(id) ?? []).map((url) => ({ url, width: 16, height: 16 }));
    return jsonAnswer(taskAnswer(view, images, requestId));
  }

  #isUnknown(id: string, { fault, reads, call }: TaskCall): boolean {
    if (fault === "task unknown for good") return true;
    if (fault !== "task unknown at first") return false;
    if (reads <= 2) return true;
    if (this.#sim.seed < OPERATED_FROM) return false;
    // Some of upstream's machines learn of the task late.
    const ageMs = this.#sim.nowMs - call.calledAtMs;
    return ageMs < this.#settings.tasksKnownMs && this.#sim.draws.of(`${id} read ${reads}`)() < 0.5;
  }

  #cancel(id: string, requestId: string): Answer {
    if (this.#board.cancel(id, this.#sim.nowMs)) return jsonAnswer({ request_id: requestId });
    return refusal("UnsupportedOperation", requestId);
  }

  /** A result's file, or the answer in its place; null when no answer ever comes. */
  #download(url: string): { readonly answer: Answer; readonly delayMs: number } | null {
    const { pathname } = new URL(url);
    const result = this.results.get(pathname);
    const strike = this.#sim.strike("result", pathname);
    const soon = (answer: Answer) => ({ answer, delayMs: 10 });
    if (result === undefined) return soon(xml(404, "NoSuchKey"));
    if (this.#sim.nowMs >= result.expiresAtMs) return soon(xml(403, "AccessDenied"));
    const { bytes } = result;
    const png = (body: Uint8Array): Answer => ({
      status: 200,
      body,
      headers: { "content-type": "image/png", "content-length": String(body.byteLength) },
    });
    switch (strike?.fault) {
      case "result missing at first":
        return soon(xml(404, "NoSuchKey"));
      case "result 403":
        return soon(xml(403, "AccessDenied"));
      case "result 503":
        return soon(xml(503, "ServiceUnavailable"));
      case "result truncated":
        return soon(png(bytes.subarray(0, Math.floor(bytes.byteLength * 0.7))));
      case "result cut":
        return soon({ ...png(bytes), broken: { afterBytes: bytes.byteLength >> 1, how: "breaks" } });
      case "result html":
        return soon(page(200));
      case "result hangs":
        return null;
      case "result slow":
        return { answer: png(bytes), delayMs: between(strike.random, 2_000, 100_000) };
      case "result without length":
        return soon({ status: 200, body: bytes, headers: { "content-type": "image/png" } });
      default:
        return soon(png(bytes));
    }
  }
}

function xml(status: number, code: string): Answer {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`;
  return { status, body, headers: { "content-type": "application/xml" } };
}

async function bodyText(body: BodyInit | null): Promise<string> {
  if (body === null) return "";
  if (typeof body === "string") return body;
  if (body instanceof ReadableStream) return new TextDecoder().decode(await bytesOf(body));
  throw new Error("upstream is sent text or a stream");
}

function endpointOf(pathname: string): Endpoint {
  const names = ["multimodalGeneration", "text2image", "image2image", "imageGeneration"] as const;
  const found = names.find((name) => pathname === `${API_PREFIX}${wirePaths[name]}`);
  if (found === undefined) throw new Error(`upstream has no path ${pathname}`);
  return found;
}

function jsonAnswer(body: object, status = 200): Answer {
  return { status, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

function refusal(code: string, requestId: string, given?: string): Answer {
  const { status, message } = refusalOf(code, given);
  return jsonAnswer({ code, message, request_id: requestId }, status);
}

function page(status: number): Answer {
  return { status, body: `<html><title>${status}</title></html>`, headers: { "content-type": "text/html" } };
}

/** The answer in place of any work; null when the work begins. */
function earlyAnswer(strike: Strike | null, requestId: string): Answer | null {
  switch (strike?.fault) {
    case "upstream 500":
      return refusal("InternalError", requestId);
    case "upstream 503":
      return refusal("ModelUnavailable", requestId);
    case "upstream 502":
      return page(502);
    case "upstream arrears":
      return refusal("Arrearage", requestId);
    case "upstream key":
      return refusal("InvalidApiKey", requestId);
    case "upstream moderation":
      return refusal("DataInspectionFailed", requestId);
    case "upstream code in 200":
      return jsonAnswer({
        code: "InternalError.Algo",
        message: "An internal error has occured.",
        request_id: requestId,
      });
    case "upstream redirect":
      return { status: 302, body: null, headers: { location: "https://elsewhere.example/" } };
    default:
      return null;
  }
}

/** The answer in place of a good one, after the images were made and charged; null when the good one is sent. */
function spoilt(fault: FaultName | null, body: object, requestId: string): Answer | null {
  switch (fault) {
    case "upstream 522":
      return page(522);
    case "upstream 504":
      return page(504);
    case "upstream bad json": {
      const text = JSON.stringify(body);
      return { status: 200, body: text.slice(0, text.length >> 1), headers: { "content-type": "application/json" } };
    }
    case "upstream empty":
      return jsonAnswer({ output: { choices: [] }, request_id: requestId });
    default:
      return null;
  }
}

/** The connection is cut during the body, or no more bytes arrive. */
function brokenBody(
  fault: FaultName | undefined,
  { body }: Answer,
  signal: AbortSignal | null,
): Pick<Answer, "broken"> {
  if (body === null || (fault !== "fetch cut" && fault !== "fetch body hangs")) return {};
  return { broken: { afterBytes: body.length >> 1, how: fault === "fetch cut" ? "breaks" : "hangs", signal } };
}

function responseOf({ status, body, headers = {}, broken }: Answer): Response {
  if (body === null) return new SimResponse(null, { status, headers });
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return new SimResponse(byteStream(bytes, broken ?? null), { status, headers });
}
