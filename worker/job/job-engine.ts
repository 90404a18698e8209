import { type Config, configOf } from "../env.ts";
import type { Lease } from "../lane/contract.ts";
import { laneName } from "../lane/lane-name.ts";
import type { Submission } from "./contract.ts";
import type { JobContext, JobFact } from "./core/job-fact.ts";
import {
  attemptOfTicket,
  isFinal,
  type JobRecord,
  newJobRecord,
  runningAttempt,
  type Tombstone,
} from "./core/job-record.ts";
import { dueFact, type Live, nextAlarmAtMs, outboxIsFull } from "./core/schedule.ts";
import { remove, transition } from "./core/transition.ts";
import { eventFacts } from "./event-facts.ts";
import { ImageKeeper } from "./image-keeper.ts";
import type { JobShell } from "./job-shell.ts";
import { JobStore } from "./job-store.ts";
import { JobStream } from "./job-stream.ts";
import { OutboxCourier } from "./outbox-courier.ts";
import { TombstoneKeeper } from "./tombstone-keeper.ts";
import { UpstreamCaller } from "./upstream-caller.ts";

/** Used while the Worker is misconfigured, for what can be decided without its settings. */
const FALLBACK = { budgetMs: 45_000, lateAnswerMs: 300_000, retentionMs: 30 * 86_400_000 } as const;
const AFTER_A_BUG_MS = 30_000;
const MISCONFIGURED_CHECK_MS = 30_000;
/** Told by other rooms' answers: kept in memory until the next write, since forgetting them only repeats the call, which `LaneRpc` allows. */
const SOFT: ReadonlySet<JobFact["type"]> = new Set([
  "enqueued",
  "ticket_missing",
  "released",
  "observed",
  "left",
  "cataloged",
]);

/**
 * What drives one job. `apply` is the only writer: the state machine decides, the record and its alarm are stored together,
 * watchers are told. Everything awaited afterwards comes back as a fact that names its attempt.
 */
export class JobEngine {
  readonly #ctx: DurableObjectState;
  readonly #env: Env;
  readonly store: JobStore;
  readonly courier: OutboxCourier;
  readonly stream: JobStream;
  readonly #caller: UpstreamCaller;
  readonly #keeper: ImageKeeper;
  readonly #tombstones: TombstoneKeeper;
  #pumped = false;

  constructor(ctx: DurableObjectState, env: Env) {
    this.#ctx = ctx;
    this.#env = env;
    const shell = this.#makeShell();
    this.store = new JobStore(ctx.storage);
    this.courier = new OutboxCourier(env, shell);
    this.stream = new JobStream(ctx, env, this.courier, this.store);
    this.#caller = new UpstreamCaller(env, shell);
    this.#keeper = new ImageKeeper(env, shell);
    const { store, courier } = this;
    const keepRunning = (work: Promise<unknown> | null) => this.#keepRunning(work);
    this.#tombstones = new TombstoneKeeper({
      shell,
      store,
      courier,
      caller: this.#caller,
      keeper: this.#keeper,
      keepRunning,
    });
  }

  job(): JobRecord | null {
    const known = this.store.load();
    return known?.kind === "job" ? known : null;
  }

  tombstone(): Tombstone | null {
    const known = this.store.load();
    return known?.kind === "tombstone" ? known : null;
  }

  /** Null while the Worker is misconfigured: then nothing is called, and nothing is lost. */
  config(): Config | null {
    const result = configOf(this.#env);
    return result.ok ? result.config : null;
  }

  /**
   * The first write of a job; what it needs of other rooms is asked for beside the answer. No line in the log: its record,
   * its client's list and its first attempt's line say it, and a burst of submissions would write nothing else.
   */
  create(submission: Submission, catalogIsTold: boolean): JobRecord {
    const record = newJobRecord(submission, Date.now());
    this.store.create(record);
    // Believed in memory only: the stored outbox holds it, for the next change or, after an eviction, the next look.
    if (catalogIsTold) this.apply({ type: "cataloged", seq: record.seq });
    this.pump();
    return record;
  }

  /** Whether the job waits for that lease: in that round, and in that lane by today's settings. */
  mayBegin({ lane, round }: Lease): boolean {
    const record = this.job();
    return record?.state.status === "queued" && record.round === round && this.#laneOf(record) === lane;
  }

  /** Starts the attempt of a lease, and answers when: its call goes out at that moment. Null when the job no longer waits for it. */
  async begin(lease: Lease): Promise<number | null> {
    const waiting = this.job();
    if (waiting === null) return null;
    const inputs = this.mayBegin(lease) ? await this.#caller.inputs.openBy(waiting, lease.beginByMs) : null;
    const record = this.job();
    // Offered again after a crash, or while the inputs were opened: used, even if the attempt is over by now.
    const begun = record === null ? undefined : attemptOfTicket(record, lease);
    if (begun !== undefined) return begun.startedAtMs;
    const config = this.config();
    const inTime = inputs !== null && Date.now() <= lease.beginByMs;
    if (config === null || !inTime || !this.apply({ type: "attempt_began", lease })) {
      // Refused, it may have to ask another lane: the one that today's settings name.
      this.pump();
      return null;
    }
    const started = this.job();
    const attempt = started === null ? undefined : runningAttempt(started);
    if (started === null || attempt === undefined) throw new Error("an attempt that began is running");
    this.#ctx.waitUntil(this.#caller.open(started, attempt.number, config, inputs));
    this.pump();
    return attempt.startedAtMs;
  }

  /** The lane that today's settings name for the job; null while the Worker is misconfigured. */
  #laneOf(record: JobRecord): string | null {
    const config = this.config();
    return config === null ? null : laneName(config, record.model);
  }

  #context(): JobContext {
    const config = this.config();
    const record = this.job();
    return {
      nowMs: Date.now(),
      jitter: Math.random(),
      budgetMs: config?.attemptBudgetMs ?? FALLBACK.budgetMs,
      lateAnswerMs: config?.lateAnswerMs ?? FALLBACK.lateAnswerMs,
      retentionMs: config?.retentionMs ?? FALLBACK.retentionMs,
      lane: record === null ? null : this.#laneOf(record),
    };
  }

  /** Puts a fact to the state machine; false when it was refused. */
  apply(fact: JobFact): boolean {
    const before = this.job();
    if (before === null) return false;
    const result = transition(before, fact, this.#context());
    if (!result.ok) {
      this.log("fact_refused", { fact: fact.type, refusal: result.refusal, status: before.state.status });
      return false;
    }
    if (result.record === before) return true;
    const settled = isFinal(result.record.state) && !outboxIsFull(result.record);
    if (SOFT.has(fact.type) && !settled) this.store.keepInMemory(result.record);
    else this.store.save(result.record);
    this.#arm();
    for (const { event } of result.moments) this.log(event.type, eventFacts(event));
    this.stream.notify(result.moments, result.record);
    return true;
  }

  /** Brings the job as far as it goes now; whatever is started comes back as a fact and pumps again. Never throws. */
  pump(): void {
    this.#pumped = true;
    try {
      const nowMs = Date.now();
      const tombstone = this.tombstone();
      if (tombstone !== null) {
        this.#tombstones.pump(tombstone, nowMs, () => this.#live());
        return;
      }
      for (;;) {
        const record = this.job();
        if (record === null) return;
        if (record.expiresAtMs !== null && nowMs >= record.expiresAtMs) {
          this.bury(record, "expired");
          return;
        }
        const fact = dueFact(record, nowMs, this.#live());
        if (fact === null) break;
        if (!this.apply(fact)) throw new Error(`a due ${fact.type} was refused`);
      }
      this.#startWork(nowMs);
      this.#arm();
    } catch (error) {
      // A bug of ours: the record is as it was, and is looked at again; the platform's own retries of alarms would end.
      this.log("pump_failed", { reason: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      this.store.arm(Date.now() + AFTER_A_BUG_MS);
    }
  }

  #startWork(nowMs: number): void {
    const record = this.job();
    this.#caller.hangUp(record);
    this.#keeper.stopUnwanted(record);
    if (record === null) return;
    this.#keepRunning(this.courier.start(nowMs));
    const config = this.config();
    if (config === null) return;
    this.#keepRunning(this.#keeper.store(record, config, nowMs));
    this.#keepRunning(this.#caller.poll(record, config, nowMs));
    const cancelTasks = this.#caller.cancelTasks(record.outbox.cancelTasks, config, (taskId, canceled) =>
      this.apply({ type: "task_canceled", taskId, canceled }),
    );
    this.#keepRunning(cancelTasks);
  }

  bury(record: JobRecord, why: "deleted" | "expired"): void {
    this.store.bury(remove(record, this.#context()));
    this.log(`job_${why}`, {});
    this.stream.dismiss(`the job was ${why}`);
    this.pump();
  }

  /** The key of the job that lies here stands for another one from now on. */
  outlast(deadlineSeconds: number): void {
    this.#tombstones.outlast(deadlineSeconds, this.#context());
  }

  pumpOnce(): void {
    // After a restart the first to ask mends what the process left half done, should its alarm be lost or late.
    if (!this.#pumped && this.store.load() !== null) this.pump();
  }

  #live(): Live {
    return {
      openCalls: this.#caller.openCalls,
      storing: this.#keeper.storing,
      storeAgainAtMs: this.#keeper.againAtMs,
      telling: this.courier.telling,
      reading: this.#caller.reading,
      pollAtMs: this.#caller.pollAtMs,
      laneCheckAtMs: this.courier.place.checkAtMs,
      outboxAtMs: this.courier.outboxAtMs,
    };
  }

  #arm(): void {
    const record = this.job();
    if (record === null) return;
    const nowMs = Date.now();
    const atMs = nextAlarmAtMs(record, nowMs, this.#live());
    // While misconfigured nothing is called, so what is overdue stays overdue: it must not fire again and again.
    const halted = atMs !== null && this.config() === null;
    this.store.arm(halted ? Math.max(atMs, nowMs + MISCONFIGURED_CHECK_MS) : atMs);
  }

  #keepRunning(work: Promise<unknown> | null): void {
    if (work !== null) this.#ctx.waitUntil(work);
  }

  #makeShell(): JobShell {
    const engine = this;
    return {
      job: () => engine.job(),
      tombstone: () => engine.tombstone(),
      config: () => engine.config(),
      get watched() {
        return engine.stream.isWatched;
      },
      placeMoved: () => {
        const record = engine.job();
        if (record?.state.status === "queued") engine.stream.notifyPlace(record);
      },
      apply: (fact) => engine.apply(fact),
      pump: () => engine.pump(),
      begin: (lease) => engine.begin(lease),
      buried: (patch) => engine.#tombstones.patch(patch),
      log: (event, data) => engine.log(event, data ?? {}),
    };
  }

  /** One JSON object a line: ids, codes and times; never a prompt, a link or a key. */
  log(event: string, data: Record<string, unknown>): void {
    console.log(JSON.stringify({ event, jobId: this.#ctx.id.name, ...data }));
  }
}
