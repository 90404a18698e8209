import { withinSignal } from "../bounds.ts";
import { dashScope, type UpstreamSettings } from "../dashscope/client.ts";
import type { SentImage, Upstream, UpstreamAnswer } from "../dashscope/contract.ts";
import type { Config } from "../env.ts";
import type { Lease } from "../lane/contract.ts";
import { storeEmbeddedImage } from "../results/copy-image.ts";
import { imageKey } from "../results/job-files.ts";
import type { JobFact } from "./core/facts.ts";
import { attemptOf, attemptOfLease, isFinal, isOpen, type JobRecord, runningAttempt } from "./core/record.ts";
import type { JobHost } from "./job-host.ts";
import { UploadOpener } from "./uploads.ts";

/** The alarm closes a call when its time to deliver late is over. If the alarm does not, the call ends this much later, in ms. */
const CALL_SLACK_MS = 10_000;
/** A called-off submission of a task stays open for this long, in ms, so that its task can be canceled (spec section 8). */
const TASK_ID_WAIT_MS = 2_000;

interface OpenCall {
  readonly controller: AbortController;
  /** Its answer is a task, which continues upstream when the call is hung up. */
  readonly submitsTask: boolean;
  hangUpTimer: ReturnType<typeof setTimeout> | null;
  readonly ended: PromiseWithResolvers<void>;
  /** A retry waits for its end, and takes the task over. */
  isAwaited: boolean;
}

/** Runs attempts, from the lease to upstream's answer, and reads the task of the job. */
export class AttemptRunner {
  readonly #bucket: R2Bucket;
  readonly #host: JobHost;
  readonly #uploads: UploadOpener;
  readonly #calls = new Map<number, OpenCall>();
  readonly tasks: TaskReader;

  constructor(env: Env, host: JobHost) {
    this.#bucket = env.RESULTS;
    this.#host = host;
    this.#uploads = new UploadOpener(env.RESULTS);
    this.tasks = new TaskReader(host, (record, attempt, config) => this.#upstreamFor(record, attempt, config));
  }

  get openCalls(): ReadonlySet<number> {
    return new Set(this.#calls.keys());
  }

  /**
   * Begins the attempt of a lease, and answers when its call went out; null when the job does not take the lease. `granted`: the lease
   * is the lane's answer to our own call, so it is given back by a message and not by this answer.
   */
  async begin(lease: Lease, granted: boolean): Promise<number | null> {
    // Leased. Uploads are opened first: between storing the attempt and its call nothing may take time.
    const waiting = this.#host.job();
    if (waiting === null) return null;
    const opened = this.mayBegin(waiting, lease) ? await this.#uploads.openBy(waiting, lease.beginByMs) : null;

    // Meanwhile the job may be called off, or the attempt begun: the same lease may be offered again, also after a crash, and is
    // used only once.
    const job = this.#host.job();
    const ticketNumber = lease.ticketNumber ?? lease.round;
    const begun = job === null ? undefined : attemptOfLease(job, lease);
    if (begun !== undefined) return begun.startedAtMs;
    const config = this.#host.config();
    if (opened === null || config === null || Date.now() > lease.beginByMs) return this.#refuse();
    if (!opened.ok) {
      if ("reason" in opened)
        this.#host.apply({ type: "uploads_unreadable", ticketNumber, leased: granted, ...opened });
      else this.#host.apply({ type: "upload_missing", ticketNumber, sha256: opened.missingSha256 });
      return this.#refuse();
    }

    // Recorded, with its lease: after a crash from here on the alarm finds an attempt without its call.
    if (!this.#host.apply({ type: "attempt_began", lease })) return this.#refuse();
    const started = this.#host.job();
    const attempt = started === null ? undefined : runningAttempt(started);
    if (started === null || attempt === undefined) throw new Error("an attempt that began is running");

    // Called. The call is held open beside the alarm, which ends the budget (`budget_ended`) and then the time for a late answer
    // (`late_window_ended`); the next attempt may begin beside it.
    this.#uploads.sent();
    this.#host.keepRunning(this.#call(started, attempt.number, config, opened.images));
    this.#host.pump();
    return attempt.startedAtMs;
  }

  /** Resolves when the answer is stored. Nothing is awaited before the call: it goes out when the attempt says that it began. */
  async #call(record: JobRecord, number: number, config: Config, images: readonly SentImage[]): Promise<void> {
    const { model, request } = record;
    const controller = new AbortController();
    const submitsTask = (config.modelTable.facts(model)?.asyncPath ?? null) !== null;
    const call: OpenCall = {
      controller,
      submitsTask,
      hangUpTimer: null,
      ended: Promise.withResolvers(),
      isAwaited: false,
    };
    this.#calls.set(number, call);
    const boundMs = Math.max(config.attemptBudgetMs, config.lateAnswerMs) + CALL_SLACK_MS;
    const upstream = this.#upstreamFor(record, number, config);
    try {
      const ask = (signal: AbortSignal) => upstream.generate({ model, request, images }, signal);
      const answer = await withinSignal(boundMs, "upstream", ask, controller.signal);
      // Answered, in time or late. `delivered` stores the links, and `pump` below copies the images (image-copier.ts); `accepted`
      // stores the task, which is read from then on; a failure is repeated or not (core/retry-decision.ts).
      // The first read is scheduled before the fact sets the alarm: an alarm that is set for now and then moved may come late.
      if (answer.kind === "accepted") this.tasks.readSoon();
      this.#host.apply(factOf(number, answer));
    } catch (error) {
      this.#host.log("call_abandoned", { attempt: number, reason: String(error) });
      this.#host.apply({ type: "call_lost", attempt: number });
    } finally {
      if (call.hangUpTimer !== null) clearTimeout(call.hangUpTimer);
      this.#calls.delete(number);
      call.ended.resolve();
      // The waiting retry runs before the outbox is sent, which would cancel the task that the retry resumes.
      if (call.isAwaited) await scheduler.wait(0);
      this.#host.pump();
    }
  }

  /**
   * Resolves when no called-off submission of a task is open any more: the job has the task's id, or the wait for it is over. A job that
   * is retried sooner would submit a second task beside one that may run and be billed.
   */
  async calledOffEnded(): Promise<void> {
    const calledOff = [...this.#calls.values()].filter(({ hangUpTimer }) => hangUpTimer !== null);
    for (const call of calledOff) call.isAwaited = true;
    await Promise.all(calledOff.map(({ ended }) => ended.promise));
  }

  /** Whether the job waits for this lease: by its ticket, and in the lane that today's settings name. */
  mayBegin(job: JobRecord, { lane, ticketNumber, round }: Lease): boolean {
    const isItsTicket = (ticketNumber ?? round) === job.ticketNumber;
    return job.state.status === "queued" && isItsTicket && this.#host.laneOf(job) === lane;
  }

  /** Pumps, because the job may have to ask another lane: the one that today's settings name. */
  #refuse(): null {
    this.#host.pump();
    return null;
  }

  /** Hangs up every call whose attempt was called off. */
  hangUp(job: JobRecord | null): void {
    if (job?.state.status !== "queued") this.#uploads.drop();
    for (const [number, call] of this.#calls) {
      const attempt = job === null ? undefined : attemptOf(job, number);
      if (attempt !== undefined && isOpen(attempt)) continue;
      if (!call.submitsTask) call.controller.abort();
      else call.hangUpTimer ??= setTimeout(() => call.controller.abort(), TASK_ID_WAIT_MS);
    }
  }

  /** Upstream for one attempt: images that come inside an answer are stored at once under the attempt's keys. */
  #upstreamFor({ id }: JobRecord, attempt: number, config: Config): Upstream {
    return upstreamOf(config, (index, bytes) => storeEmbeddedImage(this.#bucket, imageKey(id, attempt, index), bytes));
  }
}

function factOf(attempt: number, answer: UpstreamAnswer): JobFact {
  switch (answer.kind) {
    case "delivered":
      return { type: "delivered", attempt, links: answer.links, report: answer.report };
    case "accepted":
      return { type: "task_accepted", attempt, taskId: answer.taskId, report: answer.report };
    case "pending":
      return { type: "task_read", attempt, failure: null };
    case "unreadable":
      return { type: "task_read", attempt, failure: answer.failure };
    case "task_canceled":
      return { type: "task_found_canceled", attempt, failure: answer.failure };
    case "failed":
      return { type: "call_failed", attempt, failure: answer.failure };
    case "task_lost":
      return { type: "task_lost", attempt, failure: answer.failure };
    default:
      throw new Error(`no such answer: ${JSON.stringify(answer satisfies never)}`);
  }
}

function upstreamOf(config: Config, storeEmbedded?: UpstreamSettings["storeEmbedded"]): Upstream {
  const { baseUrl, apiKey, region, modelTable: models } = config;
  const settings = { baseUrl, apiKey, region, models, fetch: (url: string, init: RequestInit) => fetch(url, init) };
  return dashScope({ ...settings, now: () => Date.now(), ...(storeEmbedded === undefined ? {} : { storeEmbedded }) });
}

/**
 * The wait between two reads of a task, in ms. At most a handful of tasks run at once per model, far from the account's 20 reads
 * a second.
 */
const FIRST_READ_MS = 1_500;
const LAST_READ_MS = 5_000;
/** At most this share of the budget, so that an attempt with a short budget still reads its task a few times. */
const READ_SHARE = 0.25;
/** A read or a cancellation takes milliseconds; it is abandoned after this many, and never later than an attempt's budget ends. */
const SHORT_CALL_MS = 15_000;

type UpstreamFor = (record: JobRecord, attempt: number, config: Config) => Upstream;

/** Reads the task of a job until it has ended. */
export class TaskReader {
  readonly #host: JobHost;
  readonly #upstreamFor: UpstreamFor;
  #reading = false;
  #reads = 0;
  #readAtMs: number | null = null;

  constructor(host: JobHost, upstreamFor: UpstreamFor) {
    this.#host = host;
    this.#upstreamFor = upstreamFor;
  }

  get reading(): boolean {
    return this.#reading;
  }

  /** When the task is read again; null: now. */
  get readAtMs(): number | null {
    return this.#readAtMs;
  }

  /** Schedules the first read of a task that was accepted just now. */
  readSoon(): void {
    this.#reads = 0;
    this.#readAtMs = Date.now() + this.#pauseMs();
  }

  #pauseMs(): number {
    const atMostMs = (this.#host.config()?.attemptBudgetMs ?? Number.POSITIVE_INFINITY) * READ_SHARE;
    return Math.min(LAST_READ_MS, FIRST_READ_MS * 1.25 ** this.#reads, atMostMs);
  }

  /** Reads the job's task when a read is due. */
  read(record: JobRecord, config: Config, nowMs: number): Promise<void> | null {
    const { task } = record;
    if (task === null || isFinal(record.state) || this.#reading) return null;
    if (this.#readAtMs !== null && nowMs < this.#readAtMs) return null;
    this.#reading = true;
    this.#reads += 1;
    this.#readAtMs = nowMs + this.#pauseMs();
    return this.#readNow(this.#upstreamFor(record, task.attempt, config), task.taskId, config);
  }

  async #readNow(upstream: Upstream, taskId: string, config: Config): Promise<void> {
    try {
      const boundMs = Math.min(SHORT_CALL_MS, config.attemptBudgetMs);
      const answer = await withinSignal(boundMs, "upstream", (signal) => upstream.readTask(taskId, signal));
      if (answer.kind === "unreadable") this.#host.log("task_unreadable", { code: answer.failure.report.code });
      const now = this.#host.job()?.task;
      // Another attempt may have resumed the task while it was read.
      if (now?.taskId === taskId) this.#host.apply(factOf(now.attempt, answer));
    } catch (error) {
      this.#host.log("task_unreadable", { reason: String(error) });
    } finally {
      this.#reading = false;
      this.#host.pump();
    }
  }
}

/** Asks upstream once to cancel a task. Upstream cancels only a pending task. False when it refused or could not be reached. */
export async function cancelTask(config: Config, taskId: string): Promise<boolean> {
  const boundMs = Math.min(SHORT_CALL_MS, config.attemptBudgetMs);
  const upstream = upstreamOf(config);
  const cancel = (signal: AbortSignal) => upstream.cancelTask(taskId, signal);
  return await withinSignal(boundMs, "upstream", cancel).catch(() => false);
}
