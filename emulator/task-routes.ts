import { Hono } from "hono";
import { API_PREFIX, type WireTaskList, wireHeaders, wirePaths } from "../worker/dashscope/wire.ts";
import { taskAnswer, unknownTaskAnswer } from "./core/answer-body.ts";
import { refusalOf } from "./core/error-table.ts";
import { parseWireStamp } from "./core/ids.ts";
import { findModel } from "./core/model-table.ts";
import { bearerKey, keyRefusal } from "./core/request-check.ts";
import { arrive, type Emulator, hashKey } from "./emulator.ts";
import { earlyAnswer, lateAnswer, type Outcome } from "./fault-answer.ts";
import { shown } from "./generation.ts";
import type { CallKind } from "./journal.ts";
import {
  type Arrival,
  type EmulatorContext,
  type EmulatorEnv,
  isGone,
  refusalResponse,
  taskResponse,
} from "./wire-response.ts";

/** The limit on each of the three task calls: 20 a second for an account (the vendor's page). */
const LOOKS_PER_SECOND = 20;
const DAY_MS = 86_400_000;

/** The account id in rows of the list. */
const ACCOUNT_ID = "1000000000000000";

/** The service of a task in the list: `text2image:image-synthesis`. */
function serviceOf(model: string): string {
  const path = findModel(model)?.asyncPath ?? "imageGeneration";
  return wirePaths[path].split("/").slice(-2).join(":");
}

type Work = (
  arrival: Arrival,
  keyHash: string,
) => Promise<{ readonly status: number; readonly code?: string; readonly body: object }>;

/** Records the call, draws its fault, checks key and rate, then does the work. */
async function handle(
  emulator: Emulator,
  c: EmulatorContext,
  kind: CallKind,
  taskId: string | null,
  work: Work,
  region: string | null = null,
): Promise<Response> {
  const { state, clock } = emulator;
  const arrival = arrive(emulator);
  const key = bearerKey(c.req.header(wireHeaders.authorization) ?? null);
  const facts = taskId === null ? null : (state.task(taskId)?.facts ?? null);
  const keyHash = key === null ? null : hashKey(key);
  const { call: note, fault } = state.openCall({
    atMs: arrival.atMs,
    kind,
    method: c.req.method,
    path: c.req.path,
    requestId: arrival.requestId,
    keyHash,
    model: facts?.model ?? null,
    prompt: facts?.order.prompt ?? null,
  });
  const answer = async (): Promise<Outcome> => {
    const early = await earlyAnswer(c, emulator, arrival, note, fault);
    if (early !== null) return early;
    if (fault?.type === "slow") await clock.sleep(fault.extraMs, emulator.stopping);
    const refusal =
      keyRefusal(key, state.settings, region) ??
      (state.takeLook(`${keyHash} ${kind}`, LOOKS_PER_SECOND) ? null : refusalOf("Throttling.RateQuota"));
    if (refusal !== null) {
      return { response: refusalResponse(emulator, arrival, refusal), status: refusal.status, code: refusal.code };
    }
    const { status, code, body } = await work(arrival, keyHash ?? "");
    const spoilt = await lateAnswer(c, clock, arrival, fault, body);
    return (
      spoilt ?? {
        response: taskResponse(emulator, arrival, body, status),
        status,
        ...(code === undefined ? {} : { code }),
      }
    );
  };
  const outcome = await answer();
  state.closeCall({
    id: note.id,
    endedAtMs: clock.now(),
    status: outcome.status,
    code: outcome.code ?? null,
    taskId,
    billedImages: 0,
    clientGone: outcome.status !== null && isGone(c),
  });
  return outcome.response;
}

async function readTask(emulator: Emulator, taskId: string, arrival: Arrival, keyHash: string): Promise<object> {
  const task = emulator.state.task(taskId);
  const reads = emulator.state.ledger.readsOf(taskId);
  if (task !== null && reads <= task.facts.unseenReads) return unknownTaskAnswer(taskId, arrival.requestId);
  // Tasks belong to the account that submitted them.
  if (task === null || task.facts.keyHash !== keyHash) return unknownTaskAnswer(taskId, arrival.requestId);
  const images = await shown(emulator, emulator.state.ledger.imagesOfTask(taskId));
  return taskAnswer(task, images, arrival.requestId);
}

function positive(text: string | undefined, fallback: number): number {
  return text !== undefined && /^[1-9]\d{0,5}$/.test(text) ? Number(text) : fallback;
}

function listTasks(emulator: Emulator, c: EmulatorContext, arrival: Arrival, keyHash: string): WireTaskList {
  const nowMs = emulator.clock.now();
  const query = (name: string): string | undefined => c.req.query(name);
  const startMs = parseWireStamp(query("start_time") ?? "") ?? nowMs - DAY_MS;
  const endMs = parseWireStamp(query("end_time") ?? "") ?? nowMs;
  const found = emulator.state
    .tasks()
    .filter(
      ({ facts, status }) =>
        facts.keyHash === keyHash &&
        facts.submittedAtMs >= startMs &&
        facts.submittedAtMs <= endMs &&
        (query("model_name") ?? facts.model) === facts.model &&
        (query("status") ?? status) === status &&
        (query("task_id") ?? facts.id) === facts.id,
    )
    .reverse();
  const page = positive(query("page_no"), 1);
  const pageSize = Math.min(100, positive(query("page_size"), 10));
  return {
    total: found.length,
    data: found.slice((page - 1) * pageSize, page * pageSize).map((task) => ({
      api_key_id: String(Number.parseInt(keyHash.slice(0, 4), 16)),
      caller_parent_id: ACCOUNT_ID,
      caller_uid: ACCOUNT_ID,
      gmt_create: task.facts.submittedAtMs,
      ...(task.startedAtMs === null ? {} : { start_time: task.startedAtMs }),
      ...(task.endedAtMs === null ? {} : { end_time: task.endedAtMs }),
      model_name: task.facts.model,
      region: "ap-southeast-1",
      request_id: task.facts.requestId,
      status: task.status,
      task_id: task.facts.id,
      user_api_unique_key: `apikey:v1:aigc:${serviceOf(task.facts.model)}:${task.facts.model}`,
    })),
    total_page: Math.ceil(found.length / pageSize),
    page_no: page,
    page_size: pageSize,
    request_id: arrival.requestId,
  };
}

/** Reading one task, listing tasks, and cancelling PENDING ones. Failed and unknown tasks are answered with 200. */
export function taskRoutes(emulator: Emulator): Hono<EmulatorEnv> {
  const routes = new Hono<EmulatorEnv>();
  const list = (c: EmulatorContext): Promise<Response> =>
    handle(emulator, c, "list", null, async (arrival, keyHash) => ({
      status: 200,
      body: listTasks(emulator, c, arrival, keyHash),
    }));
  routes.get(`${API_PREFIX}${wirePaths.tasks}`, list);
  routes.get(`${API_PREFIX}${wirePaths.tasks}/:id`, (c) => {
    const id = c.req.param("id");
    return handle(emulator, c, "task", id, async (arrival, keyHash) => ({
      status: 200,
      body: await readTask(emulator, id, arrival, keyHash),
    }));
  });
  // Another region, where a key can be tried: it has its own keys and no tasks.
  routes.get(`/region/:region${API_PREFIX}${wirePaths.tasks}/:id`, (c) => {
    const { id, region } = c.req.param();
    const none: Work = async ({ requestId }) => ({ status: 200, body: unknownTaskAnswer(id, requestId) });
    return handle(emulator, c, "task", id, none, region);
  });
  routes.post(`${API_PREFIX}${wirePaths.tasks}/:id/cancel`, (c) => {
    const id = c.req.param("id");
    return handle(emulator, c, "cancel", id, async (arrival, keyHash) => {
      const owned = emulator.state.task(id)?.facts.keyHash === keyHash;
      if (owned && emulator.state.cancelTask(id)) return { status: 200, body: { request_id: arrival.requestId } };
      const { status, code, message } = refusalOf("UnsupportedOperation");
      return { status, code, body: { code, message, request_id: arrival.requestId } };
    });
  });
  return routes;
}
