import { DurableObject } from "cloudflare:workers";
import { type Config, configOf } from "../env.ts";
import type { Lease, Place } from "../lane/contract.ts";
import { laneName } from "../lane/lane-name.ts";
import type { JobAnswer, JobRpc, JobView, Submission, Viewer } from "./contract.ts";
import type { Moment } from "./core/change.ts";
import type { JobContext, JobFact } from "./core/job-fact.ts";
import { isFinal, type JobRecord, newJobRecord, runningAttempt, type Tombstone } from "./core/job-record.ts";
import { toJobView } from "./core/job-view.ts";
import { differingFields } from "./core/same-request.ts";
import { dueFact, type Live, nextAlarmAtMs, outboxIsFull, tombstoneAlarmAtMs } from "./core/schedule.ts";
import { remove, transition } from "./core/transition.ts";
import { ImageKeeper } from "./image-keeper.ts";
import type { JobShell } from "./job-shell.ts";
import { JobStore } from "./job-store.ts";
import { JobStream } from "./job-stream.ts";
import { OutboxCourier } from "./outbox-courier.ts";
import { UpstreamCaller } from "./upstream-caller.ts";

/** Used while the Worker is misconfigured, for what can be decided without its settings. */
const FALLBACK = { budgetMs: 45_000, lateAnswerMs: 300_000, retentionMs: 30 * 86_400_000 } as const;
const AFTER_A_BUG_MS = 30_000;
const MISCONFIGURED_CHECK_MS = 30_000;
/** Told by other rooms' answers: kept in memory until the next write, since forgetting them only repeats an idempotent call. */
const SOFT: ReadonlySet<JobFact["type"]> = new Set([
  "enqueued",
  "released",
  "observed",
  "left",
  "task_canceled",
  "cataloged",
]);

/**
 * One job. `#apply` is the only writer: the state machine decides, the record and its alarm are stored together, watchers
 * are told. Everything awaited afterwards comes back as a fact that names its attempt.
 */
export class GenerationJob extends DurableObject<Env> implements JobRpc {
  readonly #store = new JobStore(this.ctx.storage);
  readonly #shell: JobShell = this.#makeShell();
  readonly #courier = new OutboxCourier(this.env, this.#shell);
  readonly #caller = new UpstreamCaller(this.env, this.#shell);
  readonly #keeper = new ImageKeeper(this.env, this.#shell);
  readonly #stream = new JobStream(this.ctx, this.env, this.#shell, this.#courier);
  #pumped = false;

  async submit(submission: Submission): Promise<JobAnswer<{ view: JobView; replayed: boolean }>> {
    const known = this.#store.load();
    if (known === null) {
      const record = newJobRecord(submission, Date.now());
      this.#store.create(record);
      this.#log("job.queued", { seq: 1, model: record.model });
      this.#pump();
      return { ok: true, view: toJobView(record, null), replayed: false };
    }
    if (known.client !== submission.client) return { ok: false, code: "job_not_found" };
    if (known.kind === "tombstone") return { ok: false, code: "job_gone" };
    const fields = differingFields(known, submission);
    if (fields.length > 0) return { ok: false, code: "idempotency_key_reused", fields };
    this.#pumpOnce();
    return { ok: true, view: toJobView(known, this.#courier.place), replayed: true };
  }

  async view(viewer: Viewer): Promise<JobAnswer<{ view: JobView }>> {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    await this.#courier.refreshPlace();
    return this.#viewNow(viewer);
  }

  async wait(viewer: Viewer, tag: string | null, timeoutMs: number): Promise<JobAnswer<{ view: JobView }>> {
    const endsAtMs = Date.now() + timeoutMs;
    for (;;) {
      const answer = await this.view(viewer);
      const leftMs = endsAtMs - Date.now();
      if (!answer.ok || answer.view.done || leftMs <= 0 || (tag !== null && answer.view.tag !== tag)) return answer;
      const changed = this.#stream.watchers.changed(leftMs);
      // Now watched: the lane is asked to tell of new places from here on.
      await this.#courier.refreshPlace();
      await changed;
    }
  }

  async events(viewer: Viewer, after: number, limit: number) {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    const events = this.#store.eventsAfter(after, limit);
    return { ok: true as const, events, nextAfter: events.at(-1)?.seq ?? after, done: isFinal(found.record.state) };
  }

  async image(viewer: Viewer, index: number) {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    const { state } = found.record;
    const image = state.status === "succeeded" ? state.images.find((stored) => stored.index === index) : undefined;
    if (image === undefined) return { ok: false as const, code: "image_not_found" as const };
    const { key, contentType, bytes, sha256 } = image;
    return { ok: true as const, key, contentType, bytes, sha256 };
  }

  async cancel(viewer: Viewer): Promise<JobAnswer<{ view: JobView }>> {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    if (!this.#apply({ type: "cancel" })) {
      return { ok: false, code: "job_finished", status: found.record.state.status };
    }
    this.#pump();
    return this.#viewNow(viewer);
  }

  async retry(viewer: Viewer): Promise<JobAnswer<{ view: JobView }>> {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    if (!this.#apply({ type: "retry" })) {
      const { status } = found.record.state;
      return { ok: false, code: status === "succeeded" ? "job_finished" : "job_not_finished", status };
    }
    this.#pump();
    return this.#viewNow(viewer);
  }

  async remove(viewer: Viewer): Promise<JobAnswer<object>> {
    const known = this.#store.load();
    const mine = known !== null && (viewer === null || viewer === known.client);
    if (!mine) return { ok: false, code: "job_not_found" };
    if (known.kind === "tombstone") return { ok: false, code: "job_gone" };
    this.#bury(known, "deleted");
    return { ok: true };
  }

  async begin(lease: Lease): Promise<{ accepted: true; startedAtMs: number } | { accepted: false }> {
    const record = this.#shell.job();
    const config = this.#shell.config();
    if (record === null || config === null) return { accepted: false };
    const running = runningAttempt(record);
    if (running?.lease?.leaseId === lease.leaseId) return { accepted: true, startedAtMs: running.startedAtMs };
    const startedAtMs = await this.#begin(laneName(config, record.model), lease);
    return startedAtMs === null ? { accepted: false } : { accepted: true, startedAtMs };
  }

  async placed(round: number, place: Place): Promise<boolean> {
    const record = this.#shell.job();
    if (record === null || record.round !== round || record.state.status !== "queued") return false;
    if (this.#courier.placed(round, place)) this.#stream.tellPlace(record);
    if (!this.#stream.watchers.watched) this.#courier.unwatched();
    return this.#stream.watchers.watched;
  }

  /** A WebSocket upgrade or an SSE stream that http let in. */
  override async fetch(request: Request): Promise<Response> {
    this.#pumpOnce();
    return this.#stream.open(request, this.#store);
  }

  override async alarm(): Promise<void> {
    this.#store.alarmFired();
    this.#pump();
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    this.#stream.refuseMessage(socket, message);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    this.#stream.answerClose(socket, code);
  }

  override webSocketError(): void {}

  #viewNow(viewer: Viewer): JobAnswer<{ view: JobView }> {
    const found = this.#find(viewer);
    return found.ok ? { ok: true, view: toJobView(found.record, this.#courier.place) } : found;
  }

  #find(viewer: Viewer): JobAnswer<{ record: JobRecord }> {
    this.#pumpOnce();
    const known = this.#store.load();
    if (known === null || (viewer !== null && viewer !== known.client)) return { ok: false, code: "job_not_found" };
    return known.kind === "tombstone" ? { ok: false, code: "job_gone" } : { ok: true, record: known };
  }

  async #begin(lane: string, lease: Lease): Promise<number | null> {
    const config = this.#shell.config();
    if (config === null || Date.now() > lease.beginByMs || !this.#apply({ type: "attempt_began", lane, lease }))
      return null;
    const record = this.#shell.job();
    const attempt = record === null ? undefined : runningAttempt(record);
    if (record === null || attempt === undefined) throw new Error("an attempt that began is running");
    const call = this.#caller.open(record, attempt.number, config);
    this.ctx.waitUntil(call.ended);
    this.#pump();
    return await call.sent;
  }

  #context(): JobContext {
    const config = this.#shell.config();
    return {
      nowMs: Date.now(),
      jitter: Math.random(),
      budgetMs: config?.attemptBudgetMs ?? FALLBACK.budgetMs,
      lateAnswerMs: config?.lateAnswerMs ?? FALLBACK.lateAnswerMs,
      retentionMs: config?.retentionMs ?? FALLBACK.retentionMs,
    };
  }

  #apply(fact: JobFact): boolean {
    const before = this.#shell.job();
    if (before === null) return false;
    const result = transition(before, fact, this.#context());
    if (!result.ok) {
      this.#log("fact_refused", { fact: fact.type, refusal: result.refusal, status: before.state.status });
      return false;
    }
    if (result.record === before) return true;
    const settled = isFinal(result.record.state) && !outboxIsFull(result.record);
    if (SOFT.has(fact.type) && !settled) this.#store.keepInMemory(result.record);
    else this.#store.save(result.record);
    this.#arm();
    for (const moment of result.moments) this.#logMoment(moment);
    this.#stream.tell(result.moments, result.record);
    return true;
  }

  /** Brings the job as far as it goes now; whatever is started comes back as a fact and pumps again. Never throws. */
  #pump(): void {
    this.#pumped = true;
    try {
      const nowMs = Date.now();
      const tombstone = this.#shell.tombstone();
      if (tombstone !== null) {
        this.#pumpTombstone(tombstone, nowMs);
        return;
      }
      for (;;) {
        const record = this.#shell.job();
        if (record === null) return;
        if (record.expiresAtMs !== null && nowMs >= record.expiresAtMs) {
          this.#bury(record, "expired");
          return;
        }
        const fact = dueFact(record, nowMs, this.#live());
        if (fact === null) break;
        if (!this.#apply(fact)) throw new Error(`a due ${fact.type} was refused`);
      }
      this.#startWork(nowMs);
      this.#arm();
    } catch (error) {
      // A bug of ours: the record is as it was, and is looked at again; the platform's own retries of alarms would end.
      this.#log("pump_failed", { reason: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      this.#store.arm(Date.now() + AFTER_A_BUG_MS);
    }
  }

  #startWork(nowMs: number): void {
    const record = this.#shell.job();
    this.#caller.hangUp(record);
    this.#keeper.stopUnwanted(record);
    if (record === null) return;
    this.#keepRunning(this.#courier.start(nowMs));
    const config = this.#shell.config();
    if (config === null) return;
    this.#keepRunning(this.#keeper.store(record, config, nowMs));
    this.#keepRunning(this.#caller.poll(record, config, nowMs));
    const cancelTasks = this.#caller.cancelTasks(record.outbox.cancelTasks, config, (taskId) =>
      this.#apply({ type: "task_canceled", taskId }),
    );
    this.#keepRunning(cancelTasks);
  }

  #bury(record: JobRecord, why: "deleted" | "expired"): void {
    this.#store.bury(remove(record, this.#context()));
    this.#log(`job_${why}`, {});
    this.#stream.watchers.dismiss(`the job was ${why}`);
    this.#pump();
  }

  #pumpTombstone(tombstone: Tombstone, nowMs: number): void {
    this.#caller.hangUp(null);
    this.#keeper.stopUnwanted(null);
    this.#keepRunning(this.#courier.start(nowMs));
    if (tombstone.filesRemain) this.#keepRunning(this.#keeper.remove(tombstone.id, nowMs));
    const config = this.#shell.config();
    const { cancelTasks } = tombstone.outbox;
    if (config !== null) {
      const asked = this.#caller.cancelTasks(cancelTasks, config, (taskId) => this.#taskLetGo(taskId));
      this.#keepRunning(asked);
    }
    const alarmAtMs = tombstoneAlarmAtMs(tombstone, nowMs, this.#live());
    if (alarmAtMs <= nowMs && nowMs >= tombstone.untilMs) this.ctx.waitUntil(this.#store.forget());
    else this.#store.arm(alarmAtMs);
  }

  #taskLetGo(taskId: string): void {
    const outbox = this.#shell.tombstone()?.outbox;
    if (outbox === undefined) return;
    this.#buried({ outbox: { ...outbox, cancelTasks: outbox.cancelTasks.filter((known) => known !== taskId) } });
  }

  #buried(patch: Partial<Tombstone>): void {
    const tombstone = this.#shell.tombstone();
    if (tombstone !== null) this.#store.bury({ ...tombstone, ...patch });
  }

  #pumpOnce(): void {
    // After a restart the first to ask mends what the process left half done, should its alarm be lost or late.
    if (!this.#pumped && this.#store.load() !== null) this.#pump();
  }

  #live(): Live {
    return {
      openCalls: this.#caller.openCalls,
      storing: this.#keeper.storing,
      storeAgainAtMs: this.#keeper.againAtMs,
      telling: this.#courier.telling,
      pollAtMs: this.#caller.pollAtMs,
      laneCheckAtMs: this.#courier.laneCheckAtMs,
      outboxAtMs: this.#courier.outboxAtMs,
    };
  }

  #arm(): void {
    const record = this.#shell.job();
    if (record === null) return;
    const nowMs = Date.now();
    const atMs = nextAlarmAtMs(record, nowMs, this.#live());
    // While misconfigured nothing is called, so what is overdue stays overdue: it must not fire again and again.
    const halted = atMs !== null && this.#shell.config() === null;
    this.#store.arm(halted ? Math.max(atMs, nowMs + MISCONFIGURED_CHECK_MS) : atMs);
  }

  #keepRunning(work: Promise<unknown> | null): void {
    if (work !== null) this.ctx.waitUntil(work);
  }

  #makeShell(): JobShell {
    const self = this;
    return {
      job: () => {
        const known = self.#store.load();
        return known?.kind === "job" ? known : null;
      },
      tombstone: () => {
        const known = self.#store.load();
        return known?.kind === "tombstone" ? known : null;
      },
      config: (): Config | null => {
        const result = configOf(self.env);
        return result.ok ? result.config : null;
      },
      get watched() {
        return self.#stream.watchers.watched;
      },
      apply: (fact) => self.#apply(fact),
      pump: () => self.#pump(),
      begin: (lane, lease) => self.#begin(lane, lease),
      buried: (patch) => self.#buried(patch),
      log: (event, data) => self.#log(event, data ?? {}),
    };
  }

  #logMoment({ event }: Moment): void {
    const { type, seq, data } = event;
    this.#log(type, {
      seq,
      attempt: data.attempt,
      outcome: data.outcome,
      code: data.error?.code ?? data.upstream?.code ?? undefined,
      upstreamRequestId: data.upstream?.requestId ?? undefined,
      retryAt: data.retryAt,
    });
  }

  /** One JSON object a line: ids, codes and times; never a prompt, a link or a key. */
  #log(event: string, data: Record<string, unknown>): void {
    console.log(JSON.stringify({ event, jobId: this.ctx.id.name, ...data }));
  }
}
