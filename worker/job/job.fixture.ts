import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { FaultInput } from "../../emulator/core/fault.ts";
import type { CallKind } from "../../emulator/journal.ts";
import type { JobEvent } from "../../schemas/event.ts";
import type { JobRequest } from "../../schemas/job.ts";
import { emulatorControl } from "../../test/support/control.ts";
import { until } from "../../test/support/until.ts";
import { laneName } from "../lane/lane-name.ts";
import { jobObject, jobStub } from "../stubs.ts";
import type { JobView, Submission } from "./contract.ts";

/** For tests inside workerd: jobs in their objects, and the emulator as their upstream. */

/** A synchronous model whose quota no test has to wait for. */
export const SYNC_MODEL = "z-image-turbo";
export const EDIT_MODEL = "qwen-image-edit-plus";
/** A model whose calls are tasks; its answers hold up to four images. */
export const TASK_MODEL = "wan2.6-t2i";
export const CLIENT = "local";

export interface GivenJob extends Partial<JobRequest> {
  readonly model?: string;
  readonly id?: string;
}

/** One rule of the emulator: the fault of the calls with a prompt. See `emulator/core/fault.ts`. */
export interface Spoil {
  readonly fault: FaultInput;
  readonly times?: number | null;
  readonly skip?: number;
  readonly path?: string;
}

/** The name of a model's lane. */
export function laneOf(model: string): string {
  return laneName({ upstreamHost: new URL(env.QWEN_BASE_URL).host }, model);
}

const upstream = emulatorControl(env.QWEN_BASE_URL);

let jobs = 0;

/** A job that is not yet submitted. Its prompt is unique, so that faults and the ledger concern this job only. */
export class TestJob {
  readonly id: string;
  readonly prompt: string;
  readonly submission: Submission;

  constructor(given: GivenJob = {}) {
    jobs += 1;
    const unique = crypto.randomUUID();
    const { model = given.images === undefined ? SYNC_MODEL : EDIT_MODEL, id, ...request } = given;
    this.id = id ?? `job_${unique.replaceAll("-", "").slice(0, 21)}`;
    this.prompt = `${request.prompt ?? `test picture ${jobs}`} ${unique}`;
    this.submission = {
      id: this.id,
      client: CLIENT,
      workflow: request.images === undefined ? "image-from-text" : "image-from-reference",
      model,
      request: {
        negativePrompt: null,
        size: request.images === undefined ? "1024*1024" : null,
        n: 1,
        seed: 7,
        promptExtend: null,
        watermark: null,
        images: [],
        priority: "normal",
        maxAttempts: 4,
        deadlineSeconds: 600,
        onUncertain: "retry",
        ...request,
        prompt: this.prompt,
      },
      leftOut: [],
      metadata: {},
      warnings: [],
      idempotencyKey: null,
    };
    if (model === TASK_MODEL) {
      this.submission = { ...this.submission, request: { ...this.submission.request, size: "1280*1280" } };
    }
  }

  /** Made for each call: a stub does not outlive the object that it last reached. */
  get rpc() {
    return jobStub(env, this.id);
  }

  get object() {
    return jobObject(env.JOBS, this.id);
  }

  /** Rules are used in the order they were given. */
  async spoil(...rules: readonly Spoil[]): Promise<this> {
    for (const { fault, times = 1, skip = 0, path } of rules) {
      const match = { prompt: this.prompt, ...(path === undefined ? {} : { path }) };
      await upstream.addFault({ match, fault, times, skip });
    }
    return this;
  }

  async submit(): Promise<this> {
    const answer = await this.rpc.submit(this.submission);
    if (!answer.ok) throw new Error(`not taken: ${answer.code}`);
    return this;
  }

  async view(): Promise<JobView> {
    const answer = await this.rpc.view(null);
    if (!answer.ok) throw new Error(answer.code);
    return answer.view;
  }

  /** The first view for which `holds` is true; found by long polls, without a fixed sleep. */
  async until(what: string, holds: (view: JobView) => boolean): Promise<JobView> {
    const endsAtMs = Date.now() + 60_000;
    let view = await this.view();
    while (!holds(view)) {
      const leftMs = endsAtMs - Date.now();
      if (leftMs <= 0 || view.done) throw new Error(`never ${what}: ${JSON.stringify(view, null, 1)}`);
      const answer = await this.rpc.wait(null, view.tag, Math.min(leftMs, 25_000));
      if (!answer.ok) throw new Error(answer.code);
      view = answer.view;
    }
    return view;
  }

  done(): Promise<JobView> {
    return this.until("done", (view) => view.done);
  }

  async events(): Promise<JobEvent[]> {
    const answer = await this.rpc.events(null, 0, 1000);
    if (!answer.ok) throw new Error(answer.code);
    return answer.events;
  }

  async eventTypes(): Promise<string[]> {
    return (await this.events()).map((event) => event.type);
  }

  /** Upstream's records of this job: its calls, oldest first, and what was paid. */
  async ledger() {
    const { calls, images } = await upstream.ledger(this.prompt);
    const of = (kind: CallKind) => calls.filter((call) => call.kind === kind);
    return { submits: of("submit"), looks: of("task"), cancels: of("cancel"), billed: images };
  }

  /** Waits until that many calls of this job are held, by faults of type `hold`. */
  async held(count = 1): Promise<void> {
    await until(`${count} held calls`, async () => {
      const held = (await upstream.held()).filter(({ prompt }) => prompt === this.prompt);
      return held.length === count ? held : undefined;
    });
  }

  async release(): Promise<void> {
    await upstream.release(this.prompt);
  }

  /** Drops the object's memory and keeps its storage. Waits for work under way, so it is for objects at rest. */
  async evict(): Promise<void> {
    await evictDurableObject(this.object);
  }

  /** Ends the object at once with every call it holds, as a crash does. Its storage stays. */
  async crash(): Promise<void> {
    const gone = runInDurableObject(this.object, (_object, state) => state.abort("crashed by a test"));
    await gone.catch(() => undefined);
  }

  /** The files in the bucket under this job. */
  async images(): Promise<{ sha256: string; bytes: number; key: string }[]> {
    const found: { sha256: string; bytes: number; key: string }[] = [];
    const { objects } = await env.RESULTS.list({ prefix: `jobs/${this.id}/` });
    for (const { key } of objects) {
      const object = await env.RESULTS.get(key);
      const bytes = await object?.arrayBuffer();
      if (bytes === undefined) continue;
      const digest = await crypto.subtle.digest("SHA-256", bytes);
      found.push({ key, bytes: bytes.byteLength, sha256: new Uint8Array(digest).toHex() });
    }
    return found;
  }
}

export function testJob(given: GivenJob = {}): TestJob {
  return new TestJob(given);
}

/** Makes backoffs as short as possible: the jitter is the only random number that jobs draw. */
export function withoutJitter(): void {
  vi.spyOn(Math, "random").mockReturnValue(0);
}
