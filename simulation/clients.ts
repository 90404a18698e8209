import type { DarkroomClient } from "../client/darkroom-client.ts";
import type { DarkroomProblem } from "../client/errors.ts";
import { plainFile } from "../emulator/drawing/png.ts";
import type { Job } from "../schemas/job.ts";
import { paths } from "../schemas/paths.ts";
import { Actor } from "./engine/actor.ts";
import { chance } from "./engine/random.ts";
import type { Sim } from "./engine/sim.ts";
import {
  type Act,
  type FollowStyle,
  type JobPlan,
  OPERATOR,
  type OperationPlan,
  type Plan,
  tokenOf,
  VARIED_FROM,
} from "./plan.ts";
import { socketClass } from "./platform/sockets.ts";
import type { WorkerHost } from "./platform/worker.ts";
import type { ClientLibrary } from "./product.ts";
import type { Witness } from "./witness.ts";

export const ORIGIN = "https://darkroom.example";
/** How long a waiting client waits at most. The run is over for everyone by then. */
const PATIENCE_MS = 6 * 3_600_000;
/** By then, after the last fault, the operator ends all operations once more in worlds before `VARIED_FROM`. */
export const OPERATIONS_END_MS = 60_000;

/** Plays the clients of a plan: they use the client library, and plain calls. */
export class Clients {
  readonly #sim: Sim;
  readonly #worker: WorkerHost;
  readonly #witness: Witness;
  readonly #code: ClientLibrary;
  readonly #stop = new AbortController();
  readonly #stopFeeds = new AbortController();
  readonly #Socket: ReturnType<typeof socketClass>;
  /** Lanes and clients whose operation the operator has ended. */
  readonly #ended = new Set<string>();

  constructor(sim: Sim, worker: WorkerHost, witness: Witness, code: ClientLibrary) {
    this.#sim = sim;
    this.#code = code;
    this.#worker = worker;
    this.#witness = witness;
    this.#Socket = socketClass((url) => worker.upgrade(url));
  }

  start(plan: Plan): void {
    for (const job of plan.jobs) this.#at(job.atMs, `${job.client}, ${job.name}`, () => this.#play(job));
    for (const { name, client, atMs } of plan.feeds) this.#at(atMs, name, () => this.#watchFeed(name, client));
    for (const { name, client, atMs } of plan.lists) this.#at(atMs, name, () => this.#list(client));
    for (const operation of plan.operations) this.#at(operation.atMs, operation.name, () => this.#operate(operation));
  }

  /** The operator ends whatever is still in force. Called when faults have stopped. */
  endOperations(plan: Plan): void {
    for (const operation of plan.operations) {
      const { name } = operation;
      for (const afterMs of this.#sim.seed < VARIED_FROM ? [0, OPERATIONS_END_MS] : [0])
        this.#at(afterMs, `end of ${name}`, () => this.#endOperation(operation));
    }
  }

  /** Ends the watchers of feeds: no further changes come, and heartbeats cost time. */
  stopFeeds(): void {
    this.#stopFeeds.abort(new Error("the run is over"));
  }

  /** Stops all clients. */
  stop(): void {
    this.stopFeeds();
    this.#stop.abort(new Error("the run is over"));
  }

  #at(delayMs: number, name: string, work: () => Promise<void>): void {
    const actor = new Actor(name);
    this.#sim.clock.after(delayMs, () => {
      actor.run(() => {
        work().catch((error: unknown) => this.#judge(name, error));
      });
    });
  }

  /** A client may be refused or unreachable. Any other error is a fault of the library or of an answer. */
  #judge(name: string, error: unknown): void {
    if (this.#stop.signal.aborted || error === this.#stopFeeds.signal.reason) return;
    if (error instanceof this.#code.DarkroomUnreachable || error instanceof Gone) return;
    if (this.#isProblem(error)) {
      this.#sim.tell(() => `${name} is refused: ${error.status} ${error.code} ${error.message}`);
      return;
    }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const what =
      error instanceof this.#code.DarkroomUnexpectedAnswer
        ? "answers are as the contract says"
        : "clients meet no other errors";
    this.#sim.violate(what, `${name}: ${text}`);
  }

  #isProblem(error: unknown): error is DarkroomProblem {
    return error instanceof this.#code.DarkroomProblem;
  }

  #isServerTrouble(error: unknown): boolean {
    return this.#isProblem(error) && (error.status >= 500 || error.status === 429);
  }

  #library(client: string, withSockets = true): DarkroomClient {
    return this.#code.createDarkroomClient({
      baseUrl: ORIGIN,
      token: tokenOf(client),
      fetch: (input, init) => this.#worker.fetch(input, init),
      WebSocket: withSockets ? (this.#Socket as never) : null,
    });
  }

  async #play(plan: JobPlan): Promise<void> {
    const job = await this.#submit(plan);
    if (job === null) return;
    for (const { name, style, afterMs } of plan.followers) {
      this.#at(afterMs, name, () => this.#follow(style, name, job, plan.client));
    }
    for (const act of plan.acts) this.#at(act.afterMs, act.name, () => this.#act(act, job, plan.client));
  }

  async #submit(plan: JobPlan): Promise<Job | null> {
    const { client, style } = plan;
    const workflow = plan.model.includes("edit") ? "image-from-reference" : "image-from-text";
    const request = requestOf(plan);
    const library = this.#library(client);
    const idempotencyKey = `key of ${plan.name}`;
    const taken = (job: Job) => {
      this.#witness.accepted(job, client);
      return job;
    };
    switch (style) {
      case "library":
        return taken(await library.submit(workflow, request as never));
      case "waiting":
        return taken(await library.submit(workflow, request as never, { waitSeconds: 20, idempotencyKey }));
      case "twice": {
        const second = library.submit(workflow, request as never, { idempotencyKey }).then(taken, (error: unknown) => {
          this.#judge(plan.name, error);
          return null;
        });
        const first = taken(await library.submit(workflow, request as never, { idempotencyKey }));
        const again = await second;
        const isGone = this.#witness.of(first.id).isRemovalAsked;
        if (again !== null && again.id !== first.id && !isGone) {
          this.#sim.violate("one key makes one job", `${plan.name} got ${first.id} and ${again.id}`);
        }
        return first;
      }
      case "hangs up": {
        const hangUp = new AbortController();
        setTimeout(() => hangUp.abort(new Gone()), this.#sim.delayMs(`hang up ${plan.name}`, 5, 2_000));
        await library
          .submit(workflow, request as never, { idempotencyKey, signal: hangUp.signal })
          .catch((error: unknown) => this.#judge(plan.name, error));
        return taken(await library.submit(workflow, request as never, { idempotencyKey }));
      }
      case "bare": {
        const response = await this.#worker
          .fetch(`${ORIGIN}${paths.workflow(workflow)}`, {
            method: "POST",
            headers: { ...bearer(client), "content-type": "application/json" },
            body: JSON.stringify(request),
          })
          .catch(() => null);
        if (response === null || (response.status !== 202 && response.status !== 200)) return null;
        return taken((await response.json()) as Job);
      }
      case "openai":
      case "dashscope":
      case "dashscope task":
        return await this.#generate(plan, taken);
      default:
        return style satisfies never;
    }
  }

  /** Asks a compatible API for images as its clients do, but repeats for longer. */
  async #generate(plan: JobPlan, taken: (job: Job) => Job): Promise<Job | null> {
    const { client, style, leastPatienceMs, backoff } = plan;
    const { path, type, body, headers: more } = compatibleRequest(plan);
    for (let tries = 0; !this.#stop.signal.aborted; tries++) {
      const mark = tries > 0 && style === "openai" ? { "x-stainless-retry-count": String(tries) } : {};
      const headers = { ...bearer(client), "content-type": type, ...more, ...mark };
      const timeout = AbortSignal.timeout(this.#sim.delayMs(`patience of ${plan.name}`, leastPatienceMs, 600_000));
      const signal = AbortSignal.any([this.#stop.signal, timeout]);
      const response = await this.#worker
        .fetch(`${ORIGIN}${path}`, { method: "POST", headers, body, signal })
        .catch(() => null);
      const text = (await response?.text().catch(() => null)) ?? null;
      const isRepeated = response === null || text === null || response.status >= 500 || response.status === 429;
      if (!isRepeated) {
        const id = response.headers.get("x-darkroom-job");
        if (id === null) return null;
        if (response.status === 200) await this.#takeImages(plan, id, JSON.parse(text));
        return taken(await this.#library(client).get(id));
      }
      await sleep(Math.min(60_000, (500 + 3_500 * Math.random()) * backoff ** tries));
    }
    return null;
  }

  /** Does with an answer of a compatible API what its client does: reads its task to the end, and fetches its images. */
  async #takeImages(plan: JobPlan, id: string, answer: CompatibleAnswer): Promise<void> {
    const { name, style } = plan;
    let used = answer;
    while (style === "dashscope task") {
      if (used.output?.task_id !== id) {
        this.#sim.violate(
          "answers are as the contract says",
          `${name}: the task of ${this.#sim.named(id)} has another id`,
        );
        return;
      }
      const status = used.output.task_status;
      if (status === "SUCCEEDED") break;
      // A client that asked for the removal of its job reads no task any more.
      if (status === "UNKNOWN") this.#witness.missed(id, 404, `${name}, who reads its task,`);
      if (status !== "PENDING" && status !== "RUNNING") return;
      await sleep(2_000 + 1_000 * Math.random());
      if (this.#stop.signal.aborted) return;
      used = (await this.#read(plan, `/api/v1/tasks/${id}`)) ?? used;
    }
    const links = linksIn(used);
    if (links.length === 0)
      this.#sim.violate("answers are as the contract says", `${name}: a success without an image`);
    for (const link of links) {
      const image = await this.#worker.fetch(link, { signal: this.#stop.signal }).catch(() => null);
      if (image?.status === 404 || image?.status === 410) {
        this.#witness.missed(id, image.status, `${name}, who was given its image,`);
      }
    }
  }

  /** An answer of 200 to a read, or null. */
  async #read({ client }: JobPlan, path: string): Promise<CompatibleAnswer | null> {
    const init = { headers: bearer(client), signal: this.#stop.signal };
    const response = await this.#worker.fetch(`${ORIGIN}${path}`, init).catch(() => null);
    if (response?.status !== 200) return null;
    return (await response.json().catch(() => null)) as CompatibleAnswer | null;
  }

  async #follow(style: FollowStyle, name: string, job: Job, client: string): Promise<void> {
    const library = this.#library(client);
    const { signal } = this.#stop;
    try {
      switch (style) {
        case "polls":
          await this.#poll(library, job);
          return;
        case "waits": {
          const before = this.#witness.of(job.id).seq;
          this.#witness.saw(await library.wait(job.id, { signal }), before);
          return;
        }
        case "socket": {
          const fromStart = chance(Math.random, 0.5);
          const seen = this.#witness.watcher(job.id, name, fromStart ? 0 : null);
          for await (const frame of library.watch(job, { signal, ...(fromStart ? { after: 0 } : {}) })) seen(frame);
          return;
        }
        case "stream":
          await this.#readStream(name, job, client);
          return;
        default:
          style satisfies never;
      }
    } catch (error) {
      if (this.#isProblem(error) && (error.status === 404 || error.status === 410)) {
        this.#witness.missed(job.id, error.status, name);
        return;
      }
      throw error;
    }
  }

  async #poll(library: DarkroomClient, job: Job): Promise<void> {
    const { signal } = this.#stop;
    for (let waitMs = 2_000; ; waitMs = Math.min(60_000, waitMs * 1.5)) {
      const before = this.#witness.of(job.id).seq;
      try {
        const now = await library.get(job.id, { signal });
        this.#witness.saw(now, before);
        if (now.done) return;
      } catch (error) {
        if (!(error instanceof this.#code.DarkroomUnreachable) && !this.#isServerTrouble(error)) throw error;
      }
      await sleep(waitMs);
      if (signal.aborted) return;
    }
  }

  /** Reads server-sent events without the library, and resumes with `Last-Event-ID` until the stream answers that it has ended. */
  async #readStream(name: string, job: Job, client: string): Promise<void> {
    const seen = this.#witness.watcher(job.id, name, 0);
    let last = "0";
    for (let tries = 0; tries < 200 && !this.#stop.signal.aborted; tries++) {
      const response = await this.#worker
        .fetch(`${ORIGIN}${paths.jobEvents(job.id)}`, {
          headers: { ...bearer(client), accept: "text/event-stream", "last-event-id": last },
          signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(30_000)]),
        })
        .catch(() => null);
      if (response?.status === 204) return;
      if (response?.status === 404 || response?.status === 410) {
        this.#witness.missed(job.id, response.status, name);
        return;
      }
      if (response?.status === 200 && response.body !== null) {
        last = await readEvents(response.body, last, (data) => seen(JSON.parse(data)));
      }
      await sleep(2_000 + 2_000 * Math.random());
    }
  }

  async #act({ what, name }: Act, job: Job, client: string): Promise<void> {
    // A job must not start again when there is no time left for it to end.
    if (this.#sim.faults.isQuiet) return;
    const library = this.#library(client);
    const { signal } = this.#stop;
    const facts = this.#witness.of(job.id);
    const before = facts.seq;
    try {
      switch (what) {
        case "cancel":
          facts.isCancelAsked = true;
          this.#witness.saw(await library.cancel(job.id, { signal }), before);
          return;
        case "retry":
          facts.isRetryAsked = true;
          facts.retries += 1;
          this.#witness.saw(await library.retry(job.id, { signal }), before);
          return;
        case "retry twice": {
          facts.isRetryAsked = true;
          facts.retries += 1;
          const again = () => library.retry(job.id, { signal, idempotencyKey: name });
          const second = again().catch((error: unknown) => this.#judge(name, error));
          this.#witness.saw(await again(), before);
          await second;
          await library.wait(job.id, { signal });
          // After another retry the job knows that one's key.
          if (facts.retries === 1) await again();
          return;
        }
        case "annotate": {
          facts.notes.push(name);
          this.#witness.saw(await library.update(job.id, { metadata: { note: name } }, { signal }), before);
          facts.isNoted = true;
          return;
        }
        case "bulk cancel":
        case "bulk retry":
        case "bulk delete": {
          const action = what === "bulk cancel" ? "cancel" : what === "bulk retry" ? "retry" : "delete";
          if (action === "cancel") facts.isCancelAsked = true;
          if (action === "delete") facts.isRemovalAsked = true;
          if (action === "retry") {
            facts.isRetryAsked = true;
            facts.retries += 1;
          }
          for await (const _result of library.bulk(action, { ids: [job.id] }, { signal }));
          return;
        }
        case "delete":
          facts.isRemovalAsked = true;
          await library.remove(job.id, { signal });
          facts.isRemovalAnswered = true;
          return;
        case "read events": {
          const { events } = await library.events(job.id, { signal, after: 0, limit: 100 });
          for (const event of events) this.#witness.sawEvent(job.id, event);
          return;
        }
        case "fetch image":
          await this.#worker
            .fetch(`${ORIGIN}${paths.jobImage(job.id, 0)}`, { headers: bearer(client), signal })
            .catch(() => null);
          return;
        default:
          what satisfies never;
      }
    } catch (error) {
      const isMissing = this.#isProblem(error) && (error.status === 404 || error.status === 410);
      if (isMissing) this.#witness.missed(job.id, error.status, name);
      throw error;
    }
  }

  /** One command of the operator; true once it is answered 200. */
  async #command(method: "POST" | "PATCH", path: string, body: object): Promise<boolean> {
    const headers = { ...bearer(OPERATOR), "content-type": "application/json" };
    const init = { method, headers, body: JSON.stringify(body), signal: this.#stop.signal };
    const response = await this.#worker.fetch(`${ORIGIN}${path}`, init).catch(() => null);
    return response?.status === 200;
  }

  async #operate(operation: OperationPlan): Promise<void> {
    if (this.#sim.faults.isQuiet) return;
    const { what, target, forMs, endsItself } = operation;
    const untilMs = endsItself ? Date.now() + forMs : null;
    const body = { reason: "a test", ...(untilMs === null ? {} : { until: new Date(untilMs).toISOString() }) };
    const isAnswered =
      what === "limit lane"
        ? await this.#command("PATCH", paths.lane(target), { ...body, starts: 1 })
        : await this.#command(
            "POST",
            what === "pause lane" ? paths.lanePause(target) : paths.clientPause(target),
            body,
          );
    // Its end may have been asked for meanwhile.
    if (isAnswered && !this.#ended.has(target)) this.#witness.ordered(subjectOf(operation), untilMs);
    if (endsItself) return;
    await sleep(forMs);
    await this.#endOperation(operation);
  }

  async #endOperation(operation: OperationPlan): Promise<void> {
    const { what, target } = operation;
    this.#witness.orderEnded(subjectOf(operation));
    this.#ended.add(target);
    const isEnded = () =>
      what === "limit lane"
        ? this.#command("PATCH", paths.lane(target), { reason: "over" })
        : this.#command("POST", what === "pause lane" ? paths.laneResume(target) : paths.clientResume(target), {});
    while (!this.#stop.signal.aborted && !(await isEnded())) await sleep(2_000);
  }

  async #watchFeed(name: string, client: string): Promise<void> {
    const { signal } = this.#stopFeeds;
    const seqs = new Map<string, number>();
    const gone = new Set<string>();
    for await (const frame of this.#library(client).watchAll({ signal })) {
      if (frame.type === "deleted") gone.add(frame.id);
      if (frame.type !== "job") continue;
      if (gone.has(frame.job.id)) {
        this.#sim.violate("a job that is gone stays gone in the feed", `${name}: ${this.#sim.named(frame.job.id)}`);
      }
      const before = seqs.get(frame.job.id) ?? 0;
      if (frame.seq < before) {
        this.#sim.violate(
          "a feed never goes back",
          `${name}: ${this.#sim.named(frame.job.id)} at ${frame.seq} after ${before}`,
        );
      }
      seqs.set(frame.job.id, frame.seq);
    }
  }

  async #list(client: string): Promise<void> {
    const { signal } = this.#stop;
    const library = this.#library(client, false);
    const seen = new Set<string>();
    for await (const { id } of library.listAll({ signal, limit: 3 })) {
      if (seen.has(id)) this.#sim.violate("a list names each job once", `${client}: ${this.#sim.named(id)}`);
      seen.add(id);
    }
    await library.limits({ signal });
    await library.health({ signal });
  }
}

/** Thrown when a client leaves. */
class Gone extends Error {}

export function bearer(client: string): Record<string, string> {
  return { authorization: `Bearer ${tokenOf(client)}` };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.min(ms, PATIENCE_MS));
  });
}

/** The prompt of a planned job. It identifies the job's results in the run. */
export function promptOf(name: string): string {
  return `a picture for ${name}`;
}

/** A small picture of this client. */
function pictureOf(plan: JobPlan): Buffer {
  return plainFile({ prompt: plan.name, model: "upload", width: 512, height: 512, seed: 1, index: 0 }, null);
}

function imageOf(plan: JobPlan): string {
  if (!plan.withUpload) return "https://pictures.example/cat.png";
  return `data:image/png;base64,${pictureOf(plan).toString("base64")}`;
}

/** The used parts of answers of the compatible APIs. */
interface CompatibleAnswer {
  readonly data?: readonly { readonly url?: string }[];
  readonly output?: {
    readonly task_id?: string;
    readonly task_status?: string;
    readonly choices?: readonly { readonly message: { readonly content: readonly { readonly image?: string }[] } }[];
  };
}

/** What an operation is about, as the witness names it. */
function subjectOf({ what, target }: OperationPlan): string {
  return what === "limit lane" ? `limit of ${target}` : target;
}

function linksIn({ data = [], output }: CompatibleAnswer): string[] {
  const contents = (output?.choices ?? []).flatMap(({ message }) => message.content);
  return [...data.map(({ url }) => url), ...contents.map(({ image }) => image)].filter((link) => link !== undefined);
}

interface CompatibleRequest {
  readonly path: string;
  readonly type: string;
  readonly body: string | Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** A submission as a client of a compatible API writes it. */
function compatibleRequest(plan: JobPlan): CompatibleRequest {
  const { name, style, model, n, priority } = plan;
  const prompt = promptOf(name);
  const isEdit = model.includes("edit");
  if (style === "openai") {
    const fields = { model, n, prompt, priority, response_format: "url" };
    if (isEdit) return { path: "/v1/images/edits", ...formOf(fields, pictureOf(plan)), headers: {} };
    return { path: "/v1/images/generations", type: "application/json", body: JSON.stringify(fields), headers: {} };
  }
  const content = [...(isEdit ? [{ image: imageOf(plan) }] : []), { text: prompt }];
  const body = { model, input: { messages: [{ role: "user", content }] }, parameters: { n } };
  return {
    path: "/api/v1/services/aigc/multimodal-generation/generation",
    type: "application/json",
    body: JSON.stringify(body),
    headers: style === "dashscope task" ? { "x-dashscope-async": "enable" } : {},
  };
}

/** A form with one file. The boundary is always the same, because the runtime's own is random. */
function formOf(fields: object, image: Buffer): Pick<CompatibleRequest, "type" | "body"> {
  const boundary = "----darkroom-simulation";
  const parts = Object.entries(fields).map(
    ([field, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${field}"\r\n\r\n${value}\r\n`,
  );
  const file = `--${boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(parts.join("") + file), image, Buffer.from(`\r\n--${boundary}--\r\n`)]);
  return { type: `multipart/form-data; boundary=${boundary}`, body };
}

function requestOf(plan: JobPlan): object {
  return {
    prompt: promptOf(plan.name),
    model: plan.model,
    n: plan.n,
    priority: plan.priority,
    onUncertain: plan.onUncertain,
    ...(plan.deadlineSeconds === null ? {} : { deadlineSeconds: plan.deadlineSeconds }),
    ...(plan.model.includes("edit") ? { images: [imageOf(plan)] } : {}),
  };
}

/** Reads a stream to its end and returns the last id. */
async function readEvents(
  body: ReadableStream<Uint8Array>,
  last: string,
  onData: (data: string) => void,
): Promise<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let id = last;
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return id;
      text += decoder.decode(value, { stream: true });
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const fields = text.slice(0, end).split("\n");
        text = text.slice(end + 2);
        const data = fields.find((field) => field.startsWith("data:"));
        if (data === undefined) continue;
        onData(data.slice(5).trimStart());
        id =
          fields
            .find((field) => field.startsWith("id:"))
            ?.slice(3)
            .trim() ?? id;
      }
    }
  } catch {
    // The connection broke. The caller resumes from the last id.
    return id;
  }
}
