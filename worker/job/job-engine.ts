import type { JobEvent } from "../../schemas/event.ts";
import { type Config, configOf } from "../env.ts";
import { laneName } from "../lane/lane-name.ts";
import { budgetOf } from "../spend/prices.ts";
import { AttemptRunner } from "./attempt.ts";
import type { Submission } from "./contract.ts";
import type { FactType, JobContext, JobFact } from "./core/facts.ts";
import { transition } from "./core/machine.ts";
import { messageOf } from "./core/outbox.ts";
import { isFinal, type JobRecord, newJobRecord, type StoredRecord, traceIdOf } from "./core/record.ts";
import { dueFact, isForgettable, type Live, nextAlarmAtMs } from "./core/schedule.ts";
import { Deliveries } from "./deliveries.ts";
import { ImageCopier } from "./image-copier.ts";
import type { JobHost } from "./job-host.ts";
import { JobStore } from "./job-store.ts";
import { JobStream } from "./job-stream.ts";
import { OutboxSender } from "./outbox-sender.ts";
import { QueuePlace } from "./queue-place.ts";

/** Used while the Worker is misconfigured, for what can be decided without its settings. */
const FALLBACK = { budgetMs: 45_000, lateAnswerMs: 300_000, retentionMs: 30 * 86_400_000 } as const;
const AFTER_A_BUG_MS = 30_000;
const MISCONFIGURED_CHECK_MS = 30_000;

/** Facts that take a message off the outbox, or add one that is derived from the record. */
const SOFT_FACTS: ReadonlySet<FactType> = new Set(["message_answered", "ticket_missing", "ticket_check_due"]);

/**
 * Whether a change is kept in memory until the next write. Forgetting it repeats a call, which every receiver allows, and costs no
 * row. The last answer of a job that is over is stored, so that its object need not wake again.
 */
function isSoft(fact: JobFact, before: StoredRecord, after: StoredRecord): boolean {
  if (!SOFT_FACTS.has(fact.type)) return false;
  // Nothing is sent after a 410, and no schedule begins anew.
  if (fact.type === "message_answered" && fact.message.kind === "notify") return false;
  const isOver = after.kind === "tombstone" || isFinal(after.state);
  if (isOver && after.outbox.length === 0) return false;
  if (before.kind === "job" && after.kind === "job")
    return before.seq === after.seq && before.task === after.task && before.attempts === after.attempts;
  if (before.kind === "job" || after.kind === "job") return false;
  return before.untilMs === after.untilMs && before.successorId === after.successorId;
}

/**
 * What drives one job. `apply` is the only writer: the state machine decides, the record and its alarm are stored together,
 * watchers are notified. Everything awaited afterwards comes back as a fact that names its attempt, ticket or message.
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
   * The first write of a job; what it needs of other rooms is asked for beside the answer. It is not logged: the record, the client's
   * list and the line of its first attempt say it, and a burst of submissions would write nothing else.
   */
  create(submission: Submission, submitterNotifiesCatalog: boolean): JobRecord {
    const record = newJobRecord(submission, Date.now());
    this.store.create(record);
    if (submitterNotifiesCatalog) {
      // In memory only: the stored outbox still has the message, for the next change or, after an eviction, the next look.
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
    if (isSoft(fact, before, after)) this.store.keepInMemory(after);
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
        // One that changes nothing would be due for ever.
        if (!this.apply(fact) || this.store.load() === record) throw new Error(`a due ${fact.type} changed nothing`);
      }
      this.#startWork(nowMs);
      this.#arm();
    } catch (error) {
      // A bug of ours: the record is as it was, and is looked at again. The platform's own retries of an alarm would end.
      this.log("pump_failed", { reason: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      this.store.arm(Date.now() + AFTER_A_BUG_MS);
    }
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

  /** After a restart the first to ask mends what the process left half done, should its alarm be lost or late. */
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
    // While misconfigured nothing is called, so what is overdue stays overdue: it must not fire again and again.
    const isHalted = atMs !== null && this.config() === null;
    this.store.arm(isHalted ? Math.max(atMs, nowMs + MISCONFIGURED_CHECK_MS) : atMs);
  }

  placeMoved(): void {
    const job = this.job();
    if (job?.state.status === "queued") this.stream.notifyNow(job);
  }

  keepRunning(work: Promise<unknown> | null): void {
    if (work !== null) this.#ctx.waitUntil(work);
  }

  log(event: string, data: Record<string, unknown> = {}): void {
    // Not read from storage: a line about a record that cannot be read must be written.
    const { inMemory } = this.store;
    const traceId = inMemory?.kind === "job" ? traceIdOf(inMemory) : undefined;
    console.log(JSON.stringify({ event, jobId: this.#ctx.id.name, traceId, ...data }));
  }
}

/** What a log line says of an event: numbers, codes and times; never a prompt, a link or a key. */
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
