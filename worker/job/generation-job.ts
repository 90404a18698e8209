import { DurableObject } from "cloudflare:workers";
import { MAX_DEADLINE_SECONDS } from "../../schemas/submit.ts";
import { createLinks } from "../auth/links.ts";
import { within } from "../bounds.ts";
import { linkSettingsOf } from "../env.ts";
import type { Lease, Place } from "../lane/contract.ts";
import { removeOtherInputs } from "../results/job-files.ts";
import { budgetOf } from "../spend/prices.ts";
import { catalogStub, jobIdOfObject } from "../stubs.ts";
import type { JobAnswer, JobPatch, JobRefusal, JobRpc, JobView, ShownJob, Submission, Viewer } from "./contract.ts";
import { canStillStore } from "./core/attempt-moves.ts";
import { presentJob, retryAfterSeconds } from "./core/present.ts";
import { differingFields, isFinal, type JobRecord } from "./core/record.ts";
import { retryRefusal } from "./core/request-moves.ts";
import { attemptMicros } from "./core/spend.ts";
import { toJobView } from "./core/view.ts";
import { FALLBACK, JobEngine } from "./job-engine.ts";
import { AwaitedUploads } from "./uploads.ts";

/** A lease is offered a little before its start. The job waits for the start no longer than this, in ms, even if the clocks differ. */
const LONGEST_AHEAD_MS = 10_000;
/** The catalog answers a retry by hand within this, in ms. */
const RESERVE_BOUND_MS = 10_000;
/** The reservation of a retry by hand is used within this, in ms: longer than `RESERVE_BOUND_MS`, even if the clocks differ. */
const RETRY_GRANT_MS = 60_000;

/** Whether this request is the job's last retry by hand, repeated. */
function isRetryOf({ retryKey }: JobRecord, key: string | null): boolean {
  return key !== null && retryKey === key;
}

function hasPassed(untilMs: number | undefined): boolean {
  return untilMs !== undefined && Date.now() > untilMs;
}

/** One job, as http and its lane see it: every method finds it, asks the engine, and answers with the view. */
export class GenerationJob extends DurableObject<Env> implements JobRpc {
  readonly #engine = new JobEngine(this.ctx, this.env);
  readonly #shown = new LastShown(this.env);
  readonly #uploads = new AwaitedUploads(this.ctx.storage, this.env.RESULTS, jobIdOfObject(this.ctx.id));

  async submit(
    submission: Submission,
    notifiesCatalog = false,
  ): Promise<JobAnswer<{ view: JobView; replayed: boolean }>> {
    if (this.#uploads.isRemoving) await this.#uploads.removed();
    const known = this.#engine.store.load();
    if (known === null) {
      const { uploadsUntilMs, grantUntilMs, roomUntilMs } = submission;
      if (uploadsUntilMs !== undefined && Date.now() > uploadsUntilMs) return { ok: false, code: "upload_timed_out" };
      // By now the catalog may have found that its reservation has no job, and dropped it.
      if (hasPassed(grantUntilMs) || hasPassed(roomUntilMs)) return { ok: false, code: "grant_expired" };
      if (uploadsUntilMs !== undefined) this.#uploads.taken();
      return { ok: true, view: this.#viewOf(this.#engine.create(submission, notifiesCatalog)), replayed: false };
    }
    if (known.client !== submission.client) return { ok: false, code: "job_not_found" };
    if (known.kind === "tombstone") {
      this.#keyReused(submission.nextId, submission.request.deadlineSeconds);
      return { ok: false, code: "job_gone" };
    }
    const fields = differingFields(known, submission);
    if (fields.length > 0) return { ok: false, code: "idempotency_key_reused", fields };
    this.#engine.pumpOnce();
    return { ok: true, view: this.#viewOf(known), replayed: true };
  }

  async expectUploads(holder: string, untilMs: number, nextId?: string): Promise<"new" | "exists" | "gone"> {
    if (this.#uploads.isRemoving) await this.#uploads.removed();
    const known = this.#engine.store.load();
    if (known === null) {
      await this.#uploads.expect(holder, untilMs);
      return "new";
    }
    if (known.kind === "job") return "exists";
    // The deadline of the submission to come is not known yet.
    this.#keyReused(nextId, MAX_DEADLINE_SECONDS);
    return "gone";
  }

  #keyReused(nextId: string | undefined, deadlineSeconds: number): void {
    this.#engine.apply({ type: "key_reused", successorId: nextId ?? null, deadlineSeconds });
    this.#engine.pump();
  }

  async keptUntil(): Promise<number | null> {
    const known = this.#engine.record();
    if (known === null) return null;
    if (known.kind === "tombstone") return known.untilMs;
    // A lower bound: the job may be retried, and its tombstone stays as long again.
    return Date.now() + (this.#engine.config()?.retentionMs ?? FALLBACK.retentionMs);
  }

  async dropUploads(holder: string): Promise<void> {
    const known = this.#engine.store.load();
    if (known === null) return await this.#uploads.drop(holder);
    // Another request with the same key made the job meanwhile.
    const images = known.kind === "job" ? known.request.images : [];
    const kept = images.flatMap((image) => (image.kind === "upload" ? [image.sha256] : []));
    await removeOtherInputs(this.env.RESULTS, known.id, kept);
  }

  async catalogMissed(seq: number): Promise<void> {
    this.#engine.apply({ type: "catalog_missed", seq });
    this.#engine.pump();
  }

  async view(viewer: Viewer): Promise<JobAnswer<{ view: JobView; retryKey?: string }>> {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    const asked = this.#engine.place.refreshForRead();
    // Usually the place is fresh, and one await costs a poll more than the rest of this method.
    if (asked !== null) await asked;
    const now = this.#viewNow(viewer);
    const retryKey = this.#engine.job()?.retryKey ?? null;
    return now.ok && retryKey !== null ? { ...now, retryKey } : now;
  }

  async show(viewer: Viewer, origin: string): Promise<JobAnswer<ShownJob>> {
    const answer = await this.view(viewer);
    return answer.ok ? { ok: true, ...this.#shown.show(answer.view, origin, Date.now()) } : answer;
  }

  async wait(viewer: Viewer, tag: string | null, timeoutMs: number): Promise<JobAnswer<{ view: JobView }>> {
    const endsAtMs = Date.now() + timeoutMs;
    for (;;) {
      const answer = await this.view(viewer);
      const leftMs = endsAtMs - Date.now();
      if (!answer.ok || answer.view.done || leftMs <= 0 || (tag !== null && answer.view.tag !== tag)) return answer;
      const changed = this.#engine.stream.changed(leftMs);
      // The job is watched now, so the lane is asked to send new places.
      await this.#engine.place.refreshForRead();
      await changed;
    }
  }

  async events(viewer: Viewer, after: number, limit: number) {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    const events = this.#engine.store.eventsAfter(after, limit);
    // `after` may exceed the newest seq: answered as it is, it would make the client skip later events.
    const nextAfter = events.at(-1)?.seq ?? Math.min(after, found.record.seq);
    return { ok: true as const, events, nextAfter, done: isFinal(found.record.state) };
  }

  async image(viewer: Viewer, index: number) {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    const { state, request } = found.record;
    const image = state.status === "succeeded" ? state.images.find((stored) => stored.index === index) : undefined;
    if (image === undefined) return { ok: false as const, code: "image_not_found" as const };
    const { key, contentType, bytes, sha256 } = image;
    return { ok: true as const, key, contentType, bytes, sha256, prompt: request.prompt };
  }

  async cancel(viewer: Viewer): Promise<JobAnswer<{ view: JobView }>> {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    if (!this.#engine.apply({ type: "cancel" })) {
      return { ok: false, code: "job_finished", status: found.record.state.status };
    }
    this.#engine.pump();
    return this.#viewNow(viewer);
  }

  async retry(
    viewer: Viewer,
    key: string | null = null,
    roomUntilMs?: number,
  ): Promise<JobAnswer<{ view: JobView; replayed?: boolean }>> {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    if (isRetryOf(found.record, key)) return this.#retriedBefore(viewer);
    await this.#engine.attempts.calledOffEnded();
    const asked = this.#find(viewer);
    if (!asked.ok) return asked;
    if (isRetryOf(asked.record, key)) return this.#retriedBefore(viewer);
    const reserved = await this.#reserveRetry(asked.record);
    // A job that was removed while the catalog was asked is gone, whatever the catalog answered.
    const still = this.#find(viewer);
    if (!still.ok) return still;
    if (isRetryOf(still.record, key)) return this.#retriedBefore(viewer);
    if (!reserved.ok) return reserved;
    const refusal = retryRefusal(still.record.state.status);
    if (refusal !== null) return refusal;
    if (hasPassed(roomUntilMs)) return { ok: false, code: "grant_expired" };
    this.#engine.apply({ type: "retry", ...reserved.fact, key });
    this.#engine.pump();
    return this.#viewNow(viewer);
  }

  #retriedBefore(viewer: Viewer): JobAnswer<{ view: JobView; replayed: boolean }> {
    const now = this.#viewNow(viewer);
    return now.ok ? { ...now, replayed: true } : now;
  }

  async patch(viewer: Viewer, patch: JobPatch): Promise<JobAnswer<{ view: JobView }>> {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    this.#engine.apply({ type: "annotate", ...patch });
    const answer = this.#viewNow(viewer);
    this.#engine.pump();
    return answer;
  }

  async deliveries(viewer: Viewer) {
    const found = this.#find(viewer);
    return found.ok ? { ok: true as const, list: this.#engine.deliveries.list(found.record) } : found;
  }

  async resend(viewer: Viewer, number: number) {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    const delivery = this.#engine.deliveries.resend(number);
    return delivery === null
      ? { ok: false as const, code: "delivery_not_found" as const }
      : { ok: true as const, delivery };
  }

  /** Asks the catalog of a client with a spend limit for the money of an attempt, unless the retry needs none. */
  async #reserveRetry(
    job: JobRecord,
  ): Promise<
    { ok: true; fact: { grant?: number } } | Extract<JobRefusal, { code: "budget_exceeded" | "price_unknown" }>
  > {
    const { spend, state, task, delivery, client, seq, model } = job;
    const config = this.#engine.config();
    const budget = config === null ? null : budgetOf(config, client);
    const isRetried = state.status === "failed" || state.status === "canceled";
    const isFree = task !== null || canStillStore(delivery, Date.now());
    if (budget === null || !isRetried || isFree) return { ok: true, fact: {} };
    // The job was submitted before its price was known, so no limit would count what the retry spends.
    if (spend === undefined || spend.unitMicros === null) return { ok: false, code: "price_unknown", model };
    const number = spend.grants + 1;
    const untilMs = Date.now() + RETRY_GRANT_MS;
    const grant = { jobId: job.id, number, micros: attemptMicros(job), seq, untilMs };
    const asked = catalogStub(this.env, client).reserveAgain(grant, budget);
    const answer = await within(RESERVE_BOUND_MS, "the catalog", asked);
    if (!answer.granted) return { ok: false, code: "budget_exceeded", spend: answer.spend };
    // A job that another request has retried meanwhile has that request's reservation.
    const isAsItWas = this.#engine.job()?.seq === seq;
    return { ok: true, fact: isAsItWas ? { grant: number } : {} };
  }

  async remove(viewer: Viewer): Promise<JobAnswer<object>> {
    const known = this.#engine.store.load();
    const mine = known !== null && (viewer === null || viewer === known.client);
    if (!mine) return { ok: false, code: "job_not_found" };
    if (known.kind === "tombstone") return { ok: false, code: "job_gone" };
    this.#engine.apply({ type: "remove", why: "deleted" });
    this.#engine.pump();
    return { ok: true };
  }

  async begin(lease: Lease): Promise<{ accepted: true; startedAtMs: number } | { accepted: false }> {
    const { attempts } = this.#engine;
    const waiting = this.#engine.job();
    const aheadMs = Math.min(lease.notBeforeMs - Date.now(), LONGEST_AHEAD_MS);
    if (aheadMs > 0 && waiting !== null && attempts.mayBegin(waiting, lease)) await scheduler.wait(aheadMs);
    const known = this.#engine.record();
    if (known === null) return { accepted: false };
    if (known.kind === "tombstone") {
      // A tombstone shows that the lease was used, not when. A repeated offer's `notBeforeMs` counts the start too late, not too
      // early.
      const wasUsed = known.outbox.some(
        (message) => message.kind === "release" && message.payload.leaseId === lease.leaseId,
      );
      return wasUsed ? { accepted: true, startedAtMs: lease.notBeforeMs } : { accepted: false };
    }
    const startedAtMs = await attempts.begin(lease, false);
    return startedAtMs === null ? { accepted: false } : { accepted: true, startedAtMs };
  }

  async placed(ticketNumber: number, place: Place): Promise<boolean> {
    const { place: known } = this.#engine;
    const job = this.#engine.job();
    if (job?.ticketNumber !== ticketNumber || job.state.status !== "queued") return false;
    known.remember(place, ticketNumber, true);
    // Read after `remember`: a request that waited for a change has it now, and watches no longer.
    const { isWatched } = this.#engine;
    if (!isWatched) known.unwatched();
    return isWatched;
  }

  /** A WebSocket upgrade or an SSE stream that http let in. */
  override async fetch(request: Request): Promise<Response> {
    this.#engine.pumpOnce();
    return this.#engine.stream.open(request);
  }

  override async alarm(): Promise<void> {
    this.#engine.store.alarmFired();
    if (this.#engine.store.load() === null) return await this.#uploads.alarm(Date.now());
    this.#engine.pump();
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    this.#engine.stream.receive(socket, message);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    this.#engine.stream.closed(socket, code);
  }

  override webSocketError(): void {}

  #viewNow(viewer: Viewer): JobAnswer<{ view: JobView }> {
    const found = this.#find(viewer);
    return found.ok ? { ok: true, view: this.#viewOf(found.record) } : found;
  }

  #viewOf(record: JobRecord): JobView {
    return this.#shown.viewOf(record, this.#engine.place.now);
  }

  #find(viewer: Viewer): JobAnswer<{ record: JobRecord }> {
    this.#engine.pumpOnce();
    const known = this.#engine.store.load();
    if (known === null || (viewer !== null && viewer !== known.client)) return { ok: false, code: "job_not_found" };
    return known.kind === "tombstone" ? { ok: false, code: "job_gone" } : { ok: true, record: known };
  }
}

/** The view and text that were made last. Most polls find nothing changed, and reuse them. */
class LastShown {
  readonly #env: Env;
  #view: { readonly record: JobRecord; readonly place: Place | null; readonly view: JobView } | null = null;
  #text: { readonly view: JobView; readonly origin: string; readonly epoch: string; readonly json: string } | null =
    null;

  constructor(env: Env) {
    this.#env = env;
  }

  viewOf(record: JobRecord, place: Place | null): JobView {
    const known = this.#view;
    if (known !== null && known.record === record && known.place === place) return known.view;
    const view = toJobView(record, place);
    this.#view = { record, place, view };
    return view;
  }

  /** The view as text, with links that start with `origin`. */
  show(view: JobView, origin: string, nowMs: number): ShownJob {
    const links = createLinks(linkSettingsOf(this.#env), origin, nowMs);
    const { epoch } = links;
    const known = this.#text;
    const isKnown = known !== null && known.view === view && known.origin === origin && known.epoch === epoch;
    const json = isKnown ? known.json : JSON.stringify(presentJob(view, links));
    if (!isKnown) this.#text = { view, origin, epoch, json };
    return { tag: view.tag, epoch, retryAfterSeconds: retryAfterSeconds(view, nowMs), json };
  }
}
