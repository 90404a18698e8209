import { OutOfTime, withinSignal } from "../bounds.ts";
import { dashScope, type UpstreamSettings } from "../dashscope/client.ts";
import type { Upstream, UpstreamAnswer } from "../dashscope/contract.ts";
import type { Config } from "../env.ts";
import { storeEmbeddedImage } from "../results/copy-image.ts";
import { imageKey } from "../results/job-files.ts";
import { type CallInputs, InputOpener } from "./call-inputs.ts";
import { inputFailure } from "./core/input-failure.ts";
import { attemptOf, isFinal, type JobRecord } from "./core/job-record.ts";
import type { JobShell } from "./job-shell.ts";

/** Between two reads of a task. At most a handful run at once per model, so the account's 20 a second stay far away. */
const FIRST_POLL_MS = 1_500;
const LAST_POLL_MS = 5_000;
/** Of the budget, at most: so that a short one still reads its task a few times. */
const POLL_SHARE = 0.25;
/** A read of a task, or its cancellation, takes milliseconds; in ms, and never longer than an attempt's budget. */
const SHORT_CALL_MS = 15_000;
/** The alarm closes a call when its time to deliver late is over. Should it not, the call ends by itself this much later, in ms. */
const CALL_SLACK_MS = 10_000;

/**
 * Everything a job asks of upstream. A call is held open beside alarms and later attempts, and never outlives its use:
 * what it answers goes to the state machine by the number of its attempt.
 */
export class UpstreamCaller {
  readonly inputs: InputOpener;
  readonly #bucket: R2Bucket;
  readonly #shell: JobShell;
  readonly #calls = new Map<number, AbortController>();
  #polling = false;
  #polls = 0;
  #pollAtMs: number | null = null;
  #canceling = false;

  constructor(env: Env, shell: JobShell) {
    this.inputs = new InputOpener(env.RESULTS);
    this.#bucket = env.RESULTS;
    this.#shell = shell;
  }

  get openCalls(): ReadonlySet<number> {
    return new Set(this.#calls.keys());
  }

  get reading(): boolean {
    return this.#polling;
  }

  get pollAtMs(): number | null {
    return this.#pollAtMs;
  }

  /** Calls upstream for an attempt that was recorded this moment; resolves when the answer was dealt with. */
  open(record: JobRecord, number: number, config: Config, inputs: CallInputs): Promise<void> {
    const controller = new AbortController();
    this.#calls.set(number, controller);
    this.inputs.used();
    const boundMs = Math.max(config.attemptBudgetMs, config.lateAnswerMs) + CALL_SLACK_MS;
    return withinSignal(
      boundMs,
      "the call",
      (signal) => this.#call(record, number, config, inputs, signal),
      controller.signal,
    )
      .then(
        (answer) => this.#take(number, answer),
        (error: unknown) => {
          this.#shell.log("call_abandoned", { attempt: number, reason: String(error) });
          if (error instanceof OutOfTime) this.#shell.apply({ type: "call_lost", attempt: number });
          else this.#take(number, { kind: "failed", failure: inputFailure("error", String(error)) });
        },
      )
      .finally(() => {
        this.#calls.delete(number);
        this.#shell.pump();
      });
  }

  /** Awaits nothing before the call: it is made when its attempt says. */
  async #call(
    record: JobRecord,
    number: number,
    config: Config,
    inputs: CallInputs,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer> {
    if (!inputs.ok) return { kind: "failed", failure: inputs.failure };
    const { model, request } = record;
    return this.#upstreamFor(record, number, config).generate({ model, request, images: inputs.images }, signal);
  }

  /** Upstream for an attempt, whose images are stored at once when they come inside an answer. */
  #upstreamFor(record: JobRecord, attempt: number, config: Config): Upstream {
    return upstreamOf(config, (index, bytes) =>
      storeEmbeddedImage(this.#bucket, imageKey(record.id, attempt, index), bytes),
    );
  }

  #take(attempt: number, answer: UpstreamAnswer): void {
    switch (answer.kind) {
      case "delivered":
        this.#shell.apply({ type: "delivered", attempt, links: answer.links, report: answer.report });
        return;
      case "accepted":
        this.#polls = 0;
        this.#pollAtMs = Date.now() + this.#pollAfterMs();
        this.#shell.apply({ type: "task_accepted", attempt, taskId: answer.taskId, report: answer.report });
        return;
      case "pending":
        this.#shell.apply({ type: "task_read", attempt, failure: null });
        return;
      case "unreadable":
        this.#shell.log("task_unreadable", { attempt, code: answer.failure.report.code });
        this.#shell.apply({ type: "task_read", attempt, failure: answer.failure });
        return;
      case "task_canceled":
        this.#shell.apply({ type: "task_found_canceled", attempt, failure: answer.failure });
        return;
      case "failed":
        this.#shell.apply({ type: "call_failed", attempt, failure: answer.failure });
        return;
      case "task_lost":
        this.#shell.apply({ type: "task_lost", attempt, failure: answer.failure });
        return;
      default:
        answer satisfies never;
    }
  }

  /** Hangs up on every call whose attempt was called off. */
  hangUp(record: JobRecord | null): void {
    if (record?.state.status !== "queued") this.inputs.drop();
    for (const [number, controller] of this.#calls) {
      const attempt = record === null ? undefined : attemptOf(record, number);
      const wanted = attempt !== undefined && (attempt.outcome === null || attempt.stillOpen);
      if (!wanted) controller.abort();
    }
  }

  #pollAfterMs(): number {
    const atMostMs = (this.#shell.config()?.attemptBudgetMs ?? Number.POSITIVE_INFINITY) * POLL_SHARE;
    return Math.min(LAST_POLL_MS, FIRST_POLL_MS * 1.25 ** this.#polls, atMostMs);
  }

  /** Reads the job's task when it is time to. */
  poll(record: JobRecord, config: Config, nowMs: number): Promise<void> | null {
    const { task } = record;
    if (task === null || isFinal(record.state) || this.#polling) return null;
    if (this.#pollAtMs !== null && nowMs < this.#pollAtMs) return null;
    this.#polling = true;
    this.#polls += 1;
    this.#pollAtMs = nowMs + this.#pollAfterMs();
    const upstream = this.#upstreamFor(record, task.attempt, config);
    const boundMs = Math.min(SHORT_CALL_MS, config.attemptBudgetMs);
    return withinSignal(boundMs, "the read of the task", (signal) => upstream.readTask(task.taskId, signal))
      .then(
        (answer) => {
          const now = this.#shell.job()?.task;
          // Another attempt may have taken the task over while it was read.
          if (now?.taskId === task.taskId) this.#take(now.attempt, answer);
        },
        (error: unknown) => this.#shell.log("task_unreadable", { reason: String(error) }),
      )
      .finally(() => {
        this.#polling = false;
        this.#shell.pump();
      });
  }

  /** Asks upstream once to cancel tasks that nobody wants any more; it can only while they are pending. */
  cancelTasks(
    taskIds: readonly string[],
    config: Config,
    done: (taskId: string, canceled: boolean) => void,
  ): Promise<void> | null {
    if (taskIds.length === 0 || this.#canceling) return null;
    this.#canceling = true;
    const upstream = upstreamOf(config);
    const each = taskIds.map(async (taskId) => {
      const boundMs = Math.min(SHORT_CALL_MS, config.attemptBudgetMs);
      const canceled = await withinSignal(boundMs, "the cancellation of a task", (signal) =>
        upstream.cancelTask(taskId, signal),
      ).catch(() => false);
      this.#shell.log("task_cancel_asked", { taskId, canceled });
      done(taskId, canceled);
    });
    return Promise.allSettled(each).then(() => {
      this.#canceling = false;
      this.#shell.pump();
    });
  }
}

function upstreamOf(config: Config, storeEmbedded?: UpstreamSettings["storeEmbedded"]): Upstream {
  const { baseUrl, apiKey, region, modelTable: models } = config;
  const settings = { baseUrl, apiKey, region, models, fetch: (url: string, init: RequestInit) => fetch(url, init) };
  return dashScope({ ...settings, now: () => Date.now(), ...(storeEmbedded === undefined ? {} : { storeEmbedded }) });
}
