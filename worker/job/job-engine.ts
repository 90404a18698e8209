import type { JobEvent } from "../../schemas/event.ts";
import { type Config, configOf } from "../env.ts";
import { laneName } from "../lane/lane-name.ts";
import { budgetOf } from "../spend/prices.ts";
import { jobIdOfObject } from "../stubs.ts";
import { AttemptRunner } from "./attempt.ts";
import type { Submission } from "./contract.ts";
import type { FactType, JobContext, JobFact } from "./core/facts.ts";
import { transition } from "./core/machine.ts";
import { messageOf, receivers } from "./core/outbox.ts";
import { isFinal, type JobRecord, newJobRecord, type StoredRecord, traceIdOf } from "./core/record.ts";
import { dueFact, isForgettable, type Live, nextAlarmAtMs, nextMessage } from "./core/schedule.ts";
import { Deliveries } from "./deliveries.ts";
import { ImageCopier } from "./image-copier.ts";
import type { JobHost } from "./job-host.ts";
import { JobStore } from "./job-store.ts";
import { JobStream } from "./job-stream.ts";
import { OutboxSender } from "./outbox-sender.ts";
import { QueuePlace } from "./queue-place.ts";

/** Used while the Worker is misconfigured, for what can be decided without its settings; in ms. */
export const FALLBACK = { budgetMs: 45_000, lateAnswerMs: 300_000, retentionMs: 30 * 86_400_000 } as const;
const AFTER_A_BUG_MS = 30_000;
const MISCONFIGURED_CHECK_MS = 30_000;

/** Facts that remove a message from the outbox, or add one that is derived from the record. */
const SOFT_FACTS: ReadonlySet<FactType> = new Set(["message_answered", "ticket_missing", "ticket_check_due"]);

/**
 * Whether a change is kept in memory until the next write. Forgetting it repeats a call, which every receiver allows, and costs no
 * row. Once a job is over, the answer after which nothing is to be sent now is stored: the object may be evicted before its next
 * message is due, and would repeat all earlier calls each time it wakes.
 */
function isSoft(fact: JobFact, before: StoredRecord, after: StoredRecord, nowMs: number): boolean {
  if (!SOFT_FACTS.has(fact.type)) return false;
  // Stored at once, so that nothing is sent after a 410 and no schedule of tries starts again.
  if (fact.type === "message_answered" && fact.message.kind === "notify") return false;
  const isOver = after.kind === "tombstone" || isFinal(after.state);
  if (isOver && receivers.every((to) => nextMessage(after, to, nowMs) === null)) return false;
  if (before.kind === "job" && after.kind === "job")
    return before.seq === after.seq && before.task === after.task && before.attempts === after.attempts;
  if (before.kind === "job" || after.kind === "job") return false;
  return before.untilMs === after.untilMs && before.successorId === after.successorId;
}

/**
 * Drives one job. After `create`, `apply` is the only writer until nothing is left: the state machine decides, the record and its alarm are stored together, watchers
 * are notified. The result of whatever is awaited afterwards is a fact that names its attempt, ticket or message.
 */
export class JobEngine implements JobHost {
  readonly #ctx: DurableObjectState;
  readonly #env: Env;
  readonly store: JobStore;
  readonly stream: JobStream;
  readonly place: QueuePlace;
  readonly attempts: AttemptRunner;
  readonly deliveries: Deliveries;
  readonly #copier: ImageCopier;
  readonly #sender: OutboxSender;
  #isPumped = false;

  constructor(ctx: DurableObjectState, env: Env) {
    this.#ctx = ctx;
    this.#env = env;
    this.store = new JobStore(ctx.storage);
    this.place = new QueuePlace(env, this);
    this.stream = new JobStream(ctx, env, this.place, this.store);
    this.attempts = new AttemptRunner(env, this);
    this.#copier = new ImageCopier(env, this);
    this.deliveries = new Deliveries(env, this, this.store);
    const begin = this.attempts.begin.bind(this.attempts);
    this.#sender = new OutboxSender(env, this, {
      place: this.place,
      copier: this.#copier,
      deliveries: this.deliveries,
      begin: (lease) => begin(lease, true),
    });
  }

  record(): StoredRecord | null {
    return this.store.load();
  }

  job(): JobRecord | null {
    const record = this.store.load();
    return record?.kind === "job" ? record : null;
  }

  config(): Config | null {
    const result = configOf(this.#env);
    return result.ok ? result.config : null;
  }

  get isWatched(): boolean {
    return this.stream.isWatched;
  }

  laneOf({ model }: JobRecord): string | null {
    const config = this.config();
    return config === null ? null : laneName(config, model);
  }

  /**
   * The first write of a job. Its messages are sent while the caller is answered. It is not logged, because a burst of
   * submissions would fill the log: the record, the client's list and the log line of the first attempt show it.
   */
  create(submission: Submission, submitterNotifiesCatalog: boolean): JobRecord {
    const record = newJobRecord(submission, Date.now());
    this.store.create(record);
    if (submitterNotifiesCatalog) {
      // In memory only: the stored outbox keeps the message until the next write, and an evicted object sends it when it wakes.
      this.apply({ type: "message_answered", message: messageOf("record", { seq: record.seq }), answer: null });
    }
    this.pump();
    return record;
  }

  #context(record: StoredRecord): JobContext {
    const config = this.config();
    return {
      nowMs: Date.now(),
      jitter: Math.random(),
      budgetMs: config?.attemptBudgetMs ?? FALLBACK.budgetMs,
      lateAnswerMs: config?.lateAnswerMs ?? FALLBACK.lateAnswerMs,
      retentionMs: config?.retentionMs ?? FALLBACK.retentionMs,
      lane: record.kind === "job" ? this.laneOf(record) : null,
      isLimited: config === null || budgetOf(config, record.client) !== null,
    };
  }

  apply(fact: JobFact): boolean {
    const before = this.store.load();
    if (before === null) return false;
    const result = transition(before, fact, this.#context(before));
    if (!result.ok) {
      this.log("fact_refused", { fact: fact.type, refusal: result.refusal });
      return false;
    }
    const after = result.record;
    if (after === before) return true;
    this.deliveries.add(result.moments);
    if (isSoft(fact, before, after, Date.now())) this.store.keepInMemory(after);
    else this.store.save(after);
    this.#arm();
    if (after.kind === "job") {
      for (const { event } of result.moments) this.log(event.type, loggedOf(event));
      this.stream.notify(result.moments, after);
      if (fact.type === "annotate") this.stream.notifyNow(after);
    } else if (fact.type === "remove") {
      this.log(`job_${fact.why}`);
      this.stream.dismiss(`the job was ${fact.why}`);
    }
    return true;
  }

  pump(): void {
    this.#isPumped = true;
    try {
      const nowMs = Date.now();
      for (;;) {
        const record = this.store.load();
        const fact = record === null ? null : dueFact(record, nowMs, this.#live());
        if (fact === null) break;
        // A due fact that changes nothing would be due for ever.
        if (!this.apply(fact) || this.store.load() === record) throw new Error(`a due ${fact.type} changed nothing`);
      }
      this.#startWork(nowMs);
      this.#armAfterLook();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** A bug in this code: the record is unchanged, and the alarm looks again later. The platform stops repeating an alarm that throws. */
  #failed(error: unknown): void {
    this.log("pump_failed", { reason: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    this.store.arm(Date.now() + AFTER_A_BUG_MS);
  }

  #startWork(nowMs: number): void {
    const record = this.store.load();
    if (record === null) return;
    if (isForgettable(record)) {
      this.keepRunning(this.store.forget());
      return;
    }
    const job = record.kind === "job" ? record : null;
    this.attempts.hangUp(job);
    this.#copier.stopUnwanted(record);
    this.#sender.start(record, nowMs);
    const config = this.config();
    if (config === null || job === null) return;
    this.keepRunning(this.#copier.store(job, config, nowMs));
    this.keepRunning(this.attempts.tasks.read(job, config, nowMs));
  }

  /** After a restart the first request also completes what the last process left undone, in case the alarm is lost or late. */
  pumpOnce(): void {
    if (!this.#isPumped && this.store.load() !== null) this.pump();
  }

  #live(): Live {
    const sender = this.#sender;
    return {
      openCalls: this.attempts.openCalls,
      storing: this.#copier.storing,
      storeAgainAtMs: this.#copier.againAtMs,
      reading: this.attempts.tasks.reading,
      pollAtMs: this.attempts.tasks.readAtMs,
      ticketCheckAtMs: this.place.checkAtMs,
      isSending: (to) => sender.isSending(to),
      sendAgainAtMs: (to) => sender.sendAgainAtMs(to),
    };
  }

  #arm(): void {
    const record = this.store.load();
    if (record === null) return;
    const nowMs = Date.now();
    const atMs = nextAlarmAtMs(record, nowMs, this.#live());
    // While the Worker is misconfigured nothing is called and overdue work stays overdue: the alarm must not fire again and
    // again.
    const isHalted = atMs !== null && this.config() === null;
    this.store.arm(isHalted ? Math.max(atMs, nowMs + MISCONFIGURED_CHECK_MS) : atMs);
  }

  /** After a look that may have stored nothing: an object that has just woken reads first whether the alarm is as it should be. */
  #armAfterLook(): void {
    if (this.store.isAlarmKnown) this.#arm();
    else {
      const arm = this.#arm.bind(this);
      this.keepRunning(this.store.readAlarm().then(arm, arm).catch(this.#failed.bind(this)));
    }
  }

  placeMoved(): void {
    const job = this.job();
    if (job?.state.status === "queued") this.stream.notifyNow(job);
  }

  keepRunning(work: Promise<unknown> | null): void {
    if (work !== null) this.#ctx.waitUntil(work);
  }

  log(event: string, data: Record<string, unknown> = {}): void {
    // Not read from storage, so that a line about a record that cannot be read is written.
    const { inMemory } = this.store;
    const traceId = inMemory?.kind === "job" ? traceIdOf(inMemory) : undefined;
    console.log(JSON.stringify({ event, jobId: jobIdOfObject(this.#ctx.id), traceId, ...data }));
  }
}

/** What a log line contains of an event: numbers, codes and times; never a prompt, a link or a key. */
function loggedOf({ seq, data }: JobEvent): Record<string, unknown> {
  return {
    seq,
    attempt: data.attempt,
    outcome: data.outcome,
    code: data.error?.code ?? data.upstream?.code ?? undefined,
    upstreamRequestId: data.upstream?.requestId ?? undefined,
    retryAt: data.retryAt,
  };
}
