import { within } from "../bounds.ts";
import type { LaneRpc, Ticket } from "../lane/contract.ts";
import { laneName } from "../lane/lane-name.ts";
import { catalogStub, laneStub } from "../stubs.ts";
import {
  type AttemptRecord,
  type JobRecord,
  type PendingRelease,
  runningAttempt,
  type Tombstone,
} from "./core/job-record.ts";
import { toCatalogEntry } from "./core/job-view.ts";
import { needsLane } from "./core/schedule.ts";
import { JobPlace } from "./job-place.ts";
import type { JobShell } from "./job-shell.ts";
import { RetryClock } from "./retry-clock.ts";

/** A renewed lease outlives its attempt's budget by this: the backoff and the next renewal fit in. */
const RENEWED_LEASE_SLACK_MS = 180_000;

/** Another object answers within this, in ms, or is called again later; the platform's own retries take 10 s at most. */
const CALL_BOUND_MS = 12_000;

/** Tells lane and catalog what the outbox holds, one thing after the other, until all have answered. */
export class OutboxCourier {
  readonly #env: Env;
  readonly #shell: JobShell;
  readonly #clock = new RetryClock();
  readonly place: JobPlace;
  /** The resumed attempt whose lease was renewed; forgetting it costs one more call. */
  #renewedFor = 0;

  constructor(env: Env, shell: JobShell) {
    this.#env = env;
    this.#shell = shell;
    this.place = new JobPlace(env, shell);
  }

  get outboxAtMs(): number | null {
    return this.#clock.againAtMs;
  }

  get telling(): boolean {
    return this.#clock.busy;
  }

  /** Starts telling, when there is anything to tell and it is time to. */
  start(nowMs: number): Promise<void> | null {
    const tombstone = this.#shell.tombstone();
    const record = this.#shell.job();
    const wanted = record === null ? tombstone !== null && tombstoneHasNews(tombstone) : this.#hasNews(record, nowMs);
    if (!wanted || !this.#clock.mayStart(nowMs)) return null;
    return this.#clock
      .run(
        async () => {
          if (this.#shell.tombstone() === null) {
            await this.#tellLane();
            await this.#tellCatalog();
          } else await this.#tellOfRemoval();
        },
        (error) => this.#shell.log("telling_failed", { reason: String(error) }),
      )
      .then(() => this.#shell.pump());
  }

  #hasNews(record: JobRecord, nowMs: number): boolean {
    const { outbox, state } = record;
    const laneDue = state.status === "queued" && state.lane !== null && nowMs >= (this.place.checkAtMs ?? 0);
    const moreForLane = outbox.releases.length + outbox.observations.length > 0 || outbox.leave !== null;
    const mustRenew = leaseToRenew(record, this.#renewedFor) !== null;
    return needsLane(record) || laneDue || moreForLane || mustRenew || catalogIsBehind(record, nowMs);
  }

  #ask<Answer>(lane: string, call: (stub: LaneRpc) => Promise<Answer>): Promise<Answer> {
    return within(CALL_BOUND_MS, "the lane", call(laneStub(this.#env, lane)));
  }

  async #tellLane(): Promise<void> {
    await this.#release();
    await this.#leaveAndObserve();
    await this.#renew();
    await this.#enqueue();
    // What a refused lease or a meanwhile canceled ticket left to tell.
    await this.#leaveAndObserve();
  }

  async #release(): Promise<void> {
    for (;;) {
      const record = this.#shell.job();
      const pending = record?.outbox.releases[0];
      if (record === null || pending === undefined) return;
      const requeue = ticketOf(record, pending);
      const { lane, leaseId, outcome } = pending;
      const answer = await this.#ask(lane, (stub) => stub.release({ leaseId, jobId: record.id, outcome, requeue }));
      if (requeue !== null && (await this.#leftIfGone(lane, record.id))) return;
      this.#shell.apply({ type: "released", leaseId });
      if (requeue !== null) {
        this.place.remember(answer.place, requeue.round, false);
        this.#shell.apply({ type: "enqueued", lane, round: requeue.round });
        if (this.#shell.watched) await this.place.refresh();
      }
    }
  }

  /** A resumed task goes on under the lease it began with: the lane must not take it for lost and start one too many. */
  async #renew(): Promise<void> {
    const record = this.#shell.job();
    const attempt = record === null ? null : leaseToRenew(record, this.#renewedFor);
    if (attempt === null || attempt.lease === null) return;
    const { lane, leaseId } = attempt.lease;
    const endsAtMs = attempt.budgetEndsAtMs + RENEWED_LEASE_SLACK_MS;
    await this.#ask(lane, (stub) => stub.renew(leaseId, endsAtMs));
    this.#renewedFor = attempt.number;
  }

  async #leaveAndObserve(): Promise<void> {
    const record = this.#shell.job();
    if (record === null) return;
    const { leave, observations } = record.outbox;
    if (leave !== null) {
      await this.#ask(leave, (stub) => stub.leave(record.id));
      this.#shell.apply({ type: "left", lane: leave });
    }
    for (const { lane, outcome } of observations) {
      await this.#ask(lane, (stub) => stub.observe(outcome));
      this.#shell.apply({ type: "observed", count: 1 });
    }
  }

  async #enqueue(): Promise<void> {
    const record = this.#shell.job();
    const config = this.#shell.config();
    if (record === null || record.state.status !== "queued") return;
    const due = needsLane(record) || Date.now() >= (this.place.checkAtMs ?? 0);
    if (!due) return;
    if (config === null) {
      throw new Error("the Worker is misconfigured: see GET /api/health");
    }
    const lane = laneName(config, record.model);
    const before = record.state.lane;
    if (before !== null && before !== lane) await this.#ask(before, (stub) => stub.leave(record.id));
    const { watched } = this.#shell;
    const ticket = { jobId: record.id, client: record.client, priority: record.request.priority, round: record.round };
    const answer = await this.#ask(lane, (stub) => stub.enqueue(ticket, watched));
    if (await this.#leftIfGone(lane, record.id)) return;
    if (answer.lease !== null) {
      const startedAtMs = await this.#shell.begin(answer.lease);
      // Called off meanwhile, or too late: the lane must have its lease back.
      if (startedAtMs === null) {
        this.place.askAgain();
        this.#shell.apply({ type: "enqueued", lane, round: record.round });
      }
      return;
    }
    if (answer.place === null) throw new Error("the lane gave neither lease nor place");
    this.place.remember(answer.place, record.round, watched);
    this.#shell.apply({ type: "enqueued", lane, round: record.round });
    // Somebody came while the lane was asked: it has to know.
    if (this.#shell.watched && !watched) await this.place.refresh();
  }

  /** Deleted while the lane was asked: it must keep neither a place nor an unused lease for this job. */
  async #leftIfGone(lane: string, jobId: string): Promise<boolean> {
    if (this.#shell.job() !== null) return false;
    await this.#ask(lane, (stub) => stub.leave(jobId));
    return true;
  }

  async #tellCatalog(): Promise<void> {
    const record = this.#shell.job();
    if (record === null || !catalogIsBehind(record, Date.now())) return;
    const entry = toCatalogEntry(record);
    await within(CALL_BOUND_MS, "the catalog", catalogStub(this.#env, record.client).record(entry));
    this.#shell.apply({ type: "cataloged", seq: record.seq });
  }

  async #tellOfRemoval(): Promise<void> {
    const tombstone = this.#shell.tombstone();
    if (tombstone === null) return;
    const { outbox, id, client } = tombstone;
    for (const { lane, leaseId, outcome } of outbox.releases) {
      await this.#ask(lane, (stub) => stub.release({ leaseId, jobId: id, outcome, requeue: null }));
    }
    if (outbox.leave !== null) await this.#ask(outbox.leave, (stub) => stub.leave(id));
    if (tombstone.catalogKnows) {
      await within(CALL_BOUND_MS, "the catalog", catalogStub(this.#env, client).forget(id));
    }
    // Read anew: tasks were canceled meanwhile.
    const now = this.#shell.tombstone()?.outbox;
    if (now !== undefined) this.#shell.buried({ catalogKnows: false, outbox: { ...now, releases: [], leave: null } });
  }
}

/** The resumed attempt that runs under an earlier one's lease, unless that lease was renewed for it already. */
function leaseToRenew(record: JobRecord, renewedFor: number): AttemptRecord | null {
  const attempt = runningAttempt(record);
  if (attempt === undefined || attempt.lease === null || attempt.round !== null) return null;
  return attempt.number === renewedFor ? null : attempt;
}

function ticketOf(record: JobRecord, pending: PendingRelease): Ticket | null {
  const waits = record.state.status === "queued" && record.state.lane === null;
  if (!waits || pending.requeueRound !== record.round) return null;
  return { jobId: record.id, client: record.client, priority: record.request.priority, round: record.round };
}

/** Storing takes a blink as a rule, and the catalog is then told once, of the end; of one that lasts longer than this it is told. */
const STORING_BLINK_MS = 3_000;

function catalogIsBehind(record: JobRecord, nowMs: number): boolean {
  const { state, outbox, delivery } = record;
  if (outbox.catalogSeq >= record.seq) return false;
  const storing = state.status === "running" && state.phase === "storing";
  return !(storing && delivery !== null && nowMs - delivery.deliveredAtMs < STORING_BLINK_MS);
}

function tombstoneHasNews(tombstone: Tombstone): boolean {
  return tombstone.catalogKnows || tombstone.outbox.releases.length > 0 || tombstone.outbox.leave !== null;
}
