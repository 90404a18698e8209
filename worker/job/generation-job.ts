import { DurableObject } from "cloudflare:workers";
import { MAX_DEADLINE_SECONDS } from "../../schemas/submit.ts";
import type { Lease, Place } from "../lane/contract.ts";
import { AwaitedUploads } from "./awaited-uploads.ts";
import type { JobAnswer, JobRpc, JobView, ShownJob, Submission, Viewer } from "./contract.ts";
import { isFinal, type JobRecord } from "./core/job-record.ts";
import { differingFields } from "./core/same-request.ts";
import { JobDisplay } from "./job-display.ts";
import { JobEngine } from "./job-engine.ts";

/** One job, as http and its lane see it: every method finds it, asks the engine, and answers with the view. */
export class GenerationJob extends DurableObject<Env> implements JobRpc {
  readonly #engine = new JobEngine(this.ctx, this.env);
  readonly #display = new JobDisplay(this.env);
  readonly #uploads = new AwaitedUploads(this.ctx.storage, this.env.RESULTS, this.ctx.id.name ?? "");

  async submit(submission: Submission, tellsCatalog = false): Promise<JobAnswer<{ view: JobView; replayed: boolean }>> {
    const known = this.#engine.store.load();
    if (known === null) {
      if (submission.uploadsUntilMs !== undefined) {
        if (Date.now() > submission.uploadsUntilMs) return { ok: false, code: "upload_timed_out" };
        this.#uploads.taken();
      }
      return { ok: true, view: this.#viewOf(this.#engine.create(submission, tellsCatalog)), replayed: false };
    }
    if (known.client !== submission.client) return { ok: false, code: "job_not_found" };
    if (known.kind === "tombstone") {
      this.#engine.outlast(submission.request.deadlineSeconds);
      return { ok: false, code: "job_gone" };
    }
    const fields = differingFields(known, submission);
    if (fields.length > 0) return { ok: false, code: "idempotency_key_reused", fields };
    this.#engine.pumpOnce();
    return { ok: true, view: this.#viewOf(known), replayed: true };
  }

  async expectUploads(holder: string, untilMs: number): Promise<"new" | "exists" | "gone"> {
    const known = this.#engine.store.load();
    if (known === null) {
      await this.#uploads.expect(holder, untilMs);
      return "new";
    }
    if (known.kind === "job") return "exists";
    // The deadline of the submission to come is not known yet.
    this.#engine.outlast(MAX_DEADLINE_SECONDS);
    return "gone";
  }

  async dropUploads(holder: string): Promise<void> {
    if (this.#engine.store.load() === null) await this.#uploads.drop(holder);
  }

  async catalogMissed(seq: number): Promise<void> {
    this.#engine.apply({ type: "catalog_missed", seq });
    this.#engine.pump();
  }

  async view(viewer: Viewer): Promise<JobAnswer<{ view: JobView }>> {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    const asked = this.#engine.courier.place.refreshForRead();
    // Mostly the place is fresh, and each await costs a poll more than the rest of this.
    if (asked !== null) await asked;
    return this.#viewNow(viewer);
  }

  async show(viewer: Viewer, origin: string): Promise<JobAnswer<ShownJob>> {
    const answer = await this.view(viewer);
    return answer.ok ? { ok: true, ...this.#display.show(answer.view, origin, Date.now()) } : answer;
  }

  async wait(viewer: Viewer, tag: string | null, timeoutMs: number): Promise<JobAnswer<{ view: JobView }>> {
    const endsAtMs = Date.now() + timeoutMs;
    for (;;) {
      const answer = await this.view(viewer);
      const leftMs = endsAtMs - Date.now();
      if (!answer.ok || answer.view.done || leftMs <= 0 || (tag !== null && answer.view.tag !== tag)) return answer;
      const changed = this.#engine.stream.changed(leftMs);
      // Now watched: the lane is asked to tell of new places from here on.
      await this.#engine.courier.place.refreshForRead();
      await changed;
    }
  }

  async events(viewer: Viewer, after: number, limit: number) {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    const events = this.#engine.store.eventsAfter(after, limit);
    // A number from the future would let its holder pass over what is to come.
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

  async retry(viewer: Viewer): Promise<JobAnswer<{ view: JobView }>> {
    const found = this.#find(viewer);
    if (!found.ok) return found;
    if (!this.#engine.apply({ type: "retry" })) {
      const { status } = found.record.state;
      return { ok: false, code: status === "succeeded" ? "job_finished" : "job_not_finished", status };
    }
    this.#engine.pump();
    return this.#viewNow(viewer);
  }

  async remove(viewer: Viewer): Promise<JobAnswer<object>> {
    const known = this.#engine.store.load();
    const mine = known !== null && (viewer === null || viewer === known.client);
    if (!mine) return { ok: false, code: "job_not_found" };
    if (known.kind === "tombstone") return { ok: false, code: "job_gone" };
    this.#engine.bury(known, "deleted");
    return { ok: true };
  }

  async begin(lease: Lease): Promise<{ accepted: true; startedAtMs: number } | { accepted: false }> {
    const aheadMs = lease.notBeforeMs - Date.now();
    if (aheadMs > 0 && this.#engine.mayBegin(lease)) await scheduler.wait(aheadMs);
    const known = this.#engine.store.load();
    if (known === null) return { accepted: false };
    if (known.kind === "tombstone") {
      // When it was used is forgotten, but not yet that it was; counted at the offer's own time it is counted too late.
      const wasUsed = known.outbox.releases.some(({ leaseId }) => leaseId === lease.leaseId);
      return wasUsed ? { accepted: true, startedAtMs: lease.notBeforeMs } : { accepted: false };
    }
    const startedAtMs = await this.#engine.begin(lease);
    return startedAtMs === null ? { accepted: false } : { accepted: true, startedAtMs };
  }

  async placed(round: number, place: Place): Promise<boolean> {
    const record = this.#engine.job();
    if (record === null || record.round !== round || record.state.status !== "queued") return false;
    this.#engine.courier.place.remember(place, round, true);
    if (!this.#engine.stream.isWatched) this.#engine.courier.place.unwatched();
    return this.#engine.stream.isWatched;
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
    return this.#display.viewOf(record, this.#engine.courier.place.now);
  }

  #find(viewer: Viewer): JobAnswer<{ record: JobRecord }> {
    this.#engine.pumpOnce();
    const known = this.#engine.store.load();
    if (known === null || (viewer !== null && viewer !== known.client)) return { ok: false, code: "job_not_found" };
    return known.kind === "tombstone" ? { ok: false, code: "job_gone" } : { ok: true, record: known };
  }
}
