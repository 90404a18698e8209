/** Temporary uploads: a policy for a folder, and the object store that takes the file. Afterwards `oss://KEY` works as an input image. */
import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import { API_PREFIX, wireHeaders } from "../worker/dashscope/wire.ts";
import { refusalOf } from "./core/error-table.ts";
import { bearerKey, keyRefusal } from "./core/request-check.ts";
import { arrive, type Emulator, hashKey } from "./emulator.ts";
import { earlyAnswer, type Outcome } from "./fault-answer.ts";
import { ossError, ossRequestId, UPLOADS_PREFIX, uploadFault, uploadPolicy } from "./oss.ts";
import { type EmulatorContext, type EmulatorEnv, isGone, refusalResponse, wireResponse } from "./wire-response.ts";

/** The bytes of uploads by their checksum: in `folder` when there is one, so that they are there after a restart. */
export class UploadFiles {
  readonly #folder: string | null;
  readonly #memory = new Map<string, Buffer>();

  constructor(folder: string | null) {
    this.#folder = folder;
    if (folder !== null) mkdirSync(folder, { recursive: true });
  }

  /** Stores the bytes before it returns. Returns the checksum. */
  write(bytes: Buffer): string {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    if (this.#folder === null) this.#memory.set(sha256, bytes);
    else {
      const file = join(this.#folder, sha256);
      writeFileSync(`${file}.part`, bytes);
      renameSync(`${file}.part`, file);
    }
    return sha256;
  }

  read(sha256: string): Buffer | null {
    if (this.#folder === null) return this.#memory.get(sha256) ?? null;
    const file = join(this.#folder, sha256);
    return existsSync(file) ? readFileSync(file) : null;
  }
}

async function policy(emulator: Emulator, c: EmulatorContext): Promise<Response> {
  const { state, clock } = emulator;
  const arrival = arrive(emulator);
  const key = bearerKey(c.req.header(wireHeaders.authorization) ?? null);
  const keyHash = key === null ? null : hashKey(key);
  const model = c.req.query("model") ?? null;
  const { requestId, atMs } = arrival;
  const { call: note, fault } = state.openCall({
    atMs,
    kind: "policy",
    method: c.req.method,
    path: c.req.path,
    requestId,
    keyHash,
    model,
    prompt: null,
  });
  const refused = (refusal: ReturnType<typeof refusalOf>): Outcome => ({
    response: refusalResponse(emulator, arrival, refusal),
    status: refusal.status,
    code: refusal.code,
  });
  const answer = async (): Promise<Outcome> => {
    const early = await earlyAnswer(c, emulator, arrival, note, fault);
    if (early !== null) return early;
    const keyFault = keyRefusal(key, state.settings);
    if (keyFault !== null) return refused(keyFault);
    if (c.req.query("action") !== "getPolicy") return refused(refusalOf("InvalidParameter", "action is not supported"));
    if (model === null || model === "") return refused(refusalOf("InvalidParameter", "model is required"));
    const day = new Date(clock.now()).toISOString().slice(0, 10);
    const dir = `dashscope-instant/${(keyHash ?? "").padEnd(32, "0")}/${day}/${randomUUID()}`;
    state.grantUpload({ dir, keyHash: keyHash ?? "", model, atMs: clock.now() });
    const data = uploadPolicy(emulator.origin(), dir, clock.now());
    return { response: wireResponse(clock, arrival, { data, request_id: requestId }), status: 200 };
  };
  const { response, status, code } = await answer();
  state.closeCall({
    id: note.id,
    endedAtMs: clock.now(),
    status,
    code: code ?? null,
    taskId: null,
    billedImages: 0,
    clientGone: status !== null && isGone(c),
  });
  return response;
}

async function put({ state, uploads, clock }: Emulator, c: EmulatorContext): Promise<Response> {
  const form = await c.req.parseBody();
  const fields: Record<string, string> = {};
  for (const [name, value] of Object.entries(form)) if (typeof value === "string") fields[name] = value;
  const { file } = form;
  const { key = "" } = fields;
  const fault = uploadFault(fields, clock.now());
  if (fault !== null) return ossError(403, fault.code, fault.message);
  if (!(file instanceof File))
    return ossError(400, "InvalidArgument", "The body of your POST request is not well-formed.");
  if (state.upload(key) !== null) {
    return ossError(409, "FileAlreadyExists", "The object you specified already exists and can not be overwritten.");
  }
  const grant = state.uploadGrant(key);
  if (grant === null) return ossError(403, "AccessDenied", "You have no right to access this object.");
  const bytes = Buffer.from(await file.arrayBuffer());
  const sha256 = uploads.write(bytes);
  const { keyHash, model } = grant;
  state.addUpload({ key, keyHash, model, atMs: clock.now(), bytes: bytes.length, sha256 });
  const status = fields.success_action_status === "200" ? 200 : 204;
  return new Response(null, { status, headers: { server: "AliyunOSS", "x-oss-request-id": ossRequestId() } });
}

export function uploadRoutes(emulator: Emulator): Hono<EmulatorEnv> {
  const routes = new Hono<EmulatorEnv>();
  routes.get(`${API_PREFIX}/uploads`, (c) => policy(emulator, c));
  routes.post(UPLOADS_PREFIX, (c) => put(emulator, c));
  return routes;
}
