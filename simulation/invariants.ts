import type { JobEvent } from "../schemas/event.ts";
import type { Job, JobSummary } from "../schemas/job.ts";
import { paths } from "../schemas/paths.ts";
import type { Usage } from "../schemas/usage.ts";
import type { CatalogEntry, HeldClaim } from "../worker/catalog/contract.ts";
import { SENT_IN_VAIN_MS } from "../worker/catalog/core/held-marks.ts";
import { RECORD_DELAY_MS } from "../worker/catalog/core/reservations.ts";
import type { Submission } from "../worker/job/contract.ts";
import type { Lease, Release } from "../worker/lane/contract.ts";
import { ANSWER_WITHIN_MS } from "../worker/stubs.ts";
import { bearer, ORIGIN, promptOf } from "./clients.ts";
import type { Actor } from "./engine/actor.ts";
import type { Sim } from "./engine/sim.ts";
import { CLOCKS_DIFFER_MS, type Plan, PRICES } from "./plan.ts";
import type { SimBucket } from "./platform/bucket.ts";
import type { HostedObject, Instance, ObjectHost, ObjectWatch } from "./platform/objects.ts";
import type { WorkerHost } from "./platform/worker.ts";
import { durableJob, storedJob } from "./stored-job.ts";
import type { SubmitCall, Upstream } from "./upstream.ts";
import type { Witness } from "./witness.ts";

/**
 * The most alarms of a job after its end: for a day's retention, the tombstone, and messages that are still sent. More of
 * them would be useless.
 */
const ALARMS_TO_FORGET = 40;
const EVENT_PAGE = 100;
/** A job may still use a lease that it was given this long ago, in ms: more than any lease lasts before its start. */
const EARLIER_LEASES_MS = 20_000;
const DAY_SECONDS = 86_400;
/** 300 ms by the specification, and the lateness of a timer. */
const READ_BOUND_MS = 310;
const READS: ReadonlySet<string> = new Set(["JOBS.view", "JOBS.show", "JOBS.events", "CATALOGS.list", "LANES.report"]);

const LIMIT_HELD = "no client passes its spend limit";

/** Amounts of the API have at most 6 decimals. */
const micros = (amount: number): number => Math.round(amount * 1_000_000);

/** What upstream charged for a call, in millionths. */
function billOf({ readModel, billed }: SubmitCall): number {
  if (billed === 0) return 0;
  const price = PRICES[readModel];
  if (price === undefined) throw new Error(`${readModel} has no price in the simulation`);
  return billed * micros(price);
}

/** The checks at every step, after everything has settled, and after everything was removed. */
export class Audit implements ObjectWatch {
  readonly #sim: Sim;
  readonly #plan: Plan;
  readonly #witness: Witness;
  readonly #upstream: Upstream;
  readonly #bucket: SimBucket;
  readonly #submitters = new WeakSet<Actor>();
  /** Lease → job, for leases with which a job began and that it has not returned. */
  readonly #leases = new Map<string, string>();
  readonly #released = new Set<string>();
  /** Job → when it last gave up its place, and any lease. */
  readonly #leftAtMs = new Map<string, number>();
  /** Jobs that their client's catalog was notified of. */
  readonly #listed = new Set<string>();
  readonly #submittedAtMs = new Map<string, number>();
  /** Jobs that a submission made. */
  readonly #made = new Set<string>();
  lastSubmittedAtMs = 0;
  /** Job → when its removal was first carried out. */
  readonly #removedAtMs = new Map<string, number>();
  /** Job → its metadata in the end. */
  readonly #notes = new Map<string, string>();
  /** Prompt → jobs that exist in the end. */
  readonly #prompts = new Map<string, readonly string[]>();
  readonly #kept = new Map<string, SubmitCall>();
  /** Prompt → the keys under which a compatible API made jobs for it. */
  readonly #keysOf = new Map<string, readonly string[]>();
  /** Key → when its client's catalog learned that its answer was sent. */
  readonly #sentAtMs = new Map<string, number>();
  /** Key → when a repetition that got no earlier job was given it. */
  readonly #repeatedAtMs = new Map<string, number>();
  /** Job that called upstream → its client. */
  readonly #clientOf = new Map<string, string>();
  alarms = 0;

  constructor(sim: Sim, plan: Plan, witness: Witness, upstream: Upstream, bucket: SimBucket) {
    this.#sim = sim;
    this.#plan = plan;
    this.#witness = witness;
    this.#upstream = upstream;
    this.#bucket = bucket;
  }

  /**
   * A client's request has learned that its submission is stored. From now on it must not end in an error. It learns nothing from
   * the answer to a call that it has given up.
   */
  answered(from: Actor, kind: string, method: string, answer: unknown, tookMs: number): void {
    if (kind !== "JOBS" || method !== "submit" || tookMs >= ANSWER_WITHIN_MS) return;
    if ((answer as { readonly ok?: boolean }).ok === true) this.#submitters.add(from);
  }

  /** A submission or a retry has made a job unfinished. */
  begun(object: HostedObject): void {
    const client = storedJob(object.storage)?.client ?? "";
    const count = this.#unfinishedJobs(object.host, client).filter(({ name }) => !this.#isUnlisted(name)).length;
    const limit = Number(this.#plan.vars.MAX_PENDING_JOBS);
    if (count > limit) {
      this.#sim.violate(
        "no client has more unfinished jobs than allowed",
        `${client} has ${count}, ${limit} are allowed`,
      );
    }
  }

  carriedOut(object: HostedObject, method: string, args: readonly unknown[], answer: unknown, ms: number): void {
    const name = `${object.kind}.${method}`;
    if (name === "JOBS.submit" && (answer as { readonly ok: boolean }).ok) this.#made.add(object.name);
    if (name === "JOBS.submit" && !this.#submittedAtMs.has(object.name)) {
      this.#submittedAtMs.set(object.name, this.#sim.nowMs);
      this.lastSubmittedAtMs = this.#sim.nowMs;
      this.#madeByCompatibleApi(args[0] as Submission);
    }
    if (name === "CATALOGS.settleHeld" && args[2] === "delivered") this.#sentAtMs.set(String(args[0]), this.#sim.nowMs);
    if (name === "CATALOGS.claimHeld") {
      const { key, isRepeat } = args[0] as HeldClaim;
      if (isRepeat && answer === key) this.#repeatedAtMs.set(key, this.#sim.nowMs);
    }
    if (name === "JOBS.submit" || name === "JOBS.retry") this.begun(object);
    if (name === "JOBS.remove" && !this.#removedAtMs.has(object.name))
      this.#removedAtMs.set(object.name, this.#sim.nowMs);
    if (name === "LANES.release") {
      const { leaseId } = args[0] as Release;
      this.#leases.delete(leaseId);
      this.#released.add(leaseId);
    }
    // A reset may lose a job's record of its attempt before anyone knows of it. The job then returns by `leave` what it may
    // hold.
    if (name === "LANES.leave") {
      for (const [leaseId, jobId] of this.#leases) if (jobId === args[0]) this.#leases.delete(leaseId);
      this.#leftAtMs.set(String(args[0]), this.#sim.nowMs);
    }
    // A read shows the last known state and does not wait for another object.
    if (!READS.has(name) || ms <= READ_BOUND_MS) return;
    this.#sim.violate(
      "a read never waits for another object longer than 300 ms",
      `${this.#sim.named(object.label)}.${method} took ${ms} ms`,
    );
  }

  /**
   * A client of a compatible API repeats a request until it has an answer. That is one job until an answer is sent, and for a while
   * after that, because it may have been lost on its way.
   */
  #madeByCompatibleApi({ idempotencyKey, request: { prompt } }: Submission): void {
    if (!this.#plan.jobs.some(({ name, style }) => style === "openai" && promptOf(name) === prompt)) return;
    const keys = this.#keysOf.get(prompt) ?? [];
    const repeatedAtMs = this.#repeatedAtMs.get(idempotencyKey ?? "") ?? this.#sim.nowMs;
    const isOpen = (key: string) => repeatedAtMs - (this.#sentAtMs.get(key) ?? this.#sim.nowMs) < SENT_IN_VAIN_MS;
    const open = keys.find((key) => key !== idempotencyKey && isOpen(key));
    this.#keysOf.set(prompt, [...keys, idempotencyKey ?? ""]);
    if (open !== undefined) {
      this.#sim.violate("a client's own repeat takes its job", `another job is made for ${JSON.stringify(prompt)}`);
    }
  }

  /** A job that began by a lease gives it back. One that a reset cost the record of its attempt knows of no lease. */
  kept(name: string, args: readonly unknown[], answer: unknown, beganAtMs: number): void {
    if (name === "CATALOGS.record") this.#listed.add((args[0] as CatalogEntry).id);
    if (name === "CATALOGS.recordAll") for (const { id } of args[0] as readonly CatalogEntry[]) this.#listed.add(id);
    if (name !== "JOBS.begin") return;
    const { accepted, startedAtMs } = answer as { readonly accepted: boolean; readonly startedAtMs: number };
    const { leaseId, jobId } = args[0] as Lease;
    // An offer that waits for an upload is answered late, when another offer of the lease may have begun the attempt and the attempt
    // may be over.
    const isReturned =
      this.#released.has(leaseId) || startedAtMs <= (this.#leftAtMs.get(jobId) ?? 0) + this.#plan.clocksDifferMs;
    // An earlier start is of another lease, or of an earlier offer of this one.
    if (accepted && startedAtMs >= beganAtMs && !isReturned) this.#leases.set(leaseId, jobId);
  }

  /** The Worker answers a client. */
  responded(from: Actor, request: Request, status: number): void {
    const path = new URL(request.url).pathname;
    // An answer of a compatible API waits for the job: it may be its failure, or say that the client asks again. A task's does not.
    const isTask = request.headers.get("x-dashscope-async") === "enable";
    const isHeld = (path.startsWith("/v1/") && status !== 500) || (path.startsWith("/api/v1/") && !isTask);
    if (status < 400 || !this.#submitters.has(from) || isHeld) return;
    this.#sim.violate("a stored submission is answered 202", `${path} is answered ${status} after the job was stored`);
  }

  alarmRan(): void {
    this.alarms += 1;
  }

  get lives(): number {
    return this.#made.size;
  }

  /**
   * A good answer has reached an object that waited for it. Once the object's following writes are durable, its links or its
   * task are never requested again. This is known from outside, independent of the record.
   */
  delivered(call: SubmitCall, instance: Instance): void {
    const job = storedJob(instance.object.storage);
    if (instance.isReplaced || job === null || job.isFinal || job.hasLinks || job.hasTask) return;
    // After the object has processed the answer.
    this.#sim.clock.after(0, () => instance.send(() => this.#kept.set(call.jobId, call)));
  }

  /** An object calls upstream for a new image. */
  submitted({ object }: Instance): void {
    const job = storedJob(object.storage);
    const name = this.#sim.named(object.name);
    const kept = this.#kept.get(object.name);
    if (kept !== undefined && this.#upstream.isAlive(kept) && !this.#witness.of(object.name).isRetryAsked) {
      this.#sim.violate(
        "no image is made again once upstream's answer was kept",
        `${name} calls again, though ${kept.taskId ?? "links"} had come to attempt ${kept.attempt}`,
      );
    }
    if (job !== null) this.#clientOf.set(object.name, job.client);
    if (job === null || job.isRemoved) {
      this.#sim.violate("only a stored job calls upstream", `${name} has no record`);
      return;
    }
    if (job.hasLinks) {
      this.#sim.violate("no image is made again once links are stored", `${name} calls for attempt ${job.lastAttempt}`);
    }
    if (job.hasTask) {
      this.#sim.violate("no image is made again once a task is stored", `${name} calls for attempt ${job.lastAttempt}`);
    }
  }

  /** The sum that upstream charged for a client, in millionths. */
  #billedOf(client: string): number {
    const calls = this.#upstream.calls.filter(({ jobId }) => this.#clientOf.get(jobId) === client);
    return calls.reduce((sum, call) => sum + billOf(call), 0);
  }

  /** Upstream has charged for images. The sum never passes the client's limit. */
  charged({ jobId }: SubmitCall): void {
    const client = this.#clientOf.get(jobId) ?? "";
    const limit = this.#plan.limits[client];
    if (limit === undefined || this.#billedOf(client) <= micros(limit)) return;
    this.#sim.violate(
      LIMIT_HELD,
      `upstream has charged ${this.#billedOf(client)} millionths for ${client}, whose limit is ${micros(limit)}`,
    );
  }

  /** A call has left its object. No window has more starts than the lane's limit allows, by the time of the calls. */
  left(call: SubmitCall): void {
    for (const target of [call.model, this.#clientOf.get(call.jobId) ?? ""]) {
      if (this.#witness.orderedSinceMs(target, call.calledAtMs) === null) continue;
      this.#sim.violate(
        "nothing starts while it is paused",
        `${this.#sim.named(call.jobId)} calls, and ${target} is paused`,
      );
    }
    const quota = this.#plan.quotas[call.model];
    if (quota === undefined) return;
    const { starts, periodMs } = quota;
    const made = this.#upstream.calls
      .filter(({ model, hasLeft }) => model === call.model && hasLeft)
      .sort((a, b) => a.calledAtMs - b.calledAtMs);
    this.#checkLimit(call, made, periodMs);
    for (const { calledAtMs: endMs } of made) {
      if (endMs < call.calledAtMs || endMs >= call.calledAtMs + periodMs) continue;
      const inWindow = made.filter(({ calledAtMs }) => calledAtMs > endMs - periodMs && calledAtMs <= endMs);
      if (inWindow.length <= starts) continue;
      const who = inWindow.map(
        ({ jobId, calledAtMs }) => `${this.#sim.named(jobId)} at ${calledAtMs - this.#sim.startMs}`,
      );
      this.#sim.violate(
        "no quota window is broken",
        `${inWindow.length} starts of ${call.model} within ${periodMs} ms, ${starts} are allowed: ${who.join(", ")}`,
      );
      return;
    }
  }

  /** The operator's limits are one start in a window. A lease that was given before may still be used for a while. */
  #checkLimit({ model, calledAtMs, jobId }: SubmitCall, made: readonly SubmitCall[], periodMs: number): void {
    const sinceMs = this.#witness.orderedSinceMs(`limit of ${model}`, calledAtMs);
    if (sinceMs === null) return;
    const fromMs = Math.max(sinceMs + EARLIER_LEASES_MS, calledAtMs - periodMs);
    const near = made.filter((other) => other.calledAtMs > fromMs && other.calledAtMs <= calledAtMs);
    if (near.length <= 1) return;
    this.#sim.violate(
      "no quota window is broken",
      `${this.#sim.named(jobId)} is start ${near.length} of ${model} within ${periodMs} ms, and the operator allows 1`,
    );
  }

  /** How many stored jobs have not ended. */
  unfinished(host: ObjectHost): number {
    return this.#unfinishedJobs(host, null).length;
  }

  #unfinishedJobs(host: ObjectHost, client: string | null): readonly HostedObject[] {
    return host.all("JOBS").filter(({ storage }) => {
      const job = storedJob(storage);
      return job !== null && !job.isFinal && (client === null || job.client === client);
    });
  }

  /**
   * A job whose isolate died right after its 202, before it notified the catalog. The job does so when it next runs; the client's
   * limit may not count it before that, once it has been stored for longer than a reservation counts beyond its use.
   */
  #isUnlisted(jobId: string): boolean {
    const submittedAtMs = this.#submittedAtMs.get(jobId) ?? this.#sim.nowMs;
    return !this.#listed.has(jobId) && this.#sim.nowMs > submittedAtMs + RECORD_DELAY_MS - CLOCKS_DIFFER_MS;
  }

  /** Whether every job has ended and has sent all of its messages. */
  isSettled(host: ObjectHost): boolean {
    return host.all("JOBS").every(({ storage }) => {
      const job = durableJob(storage);
      return job === null || (job.isFinal && !job.isUnsettled);
    });
  }

  async afterSettling(host: ObjectHost, worker: WorkerHost): Promise<void> {
    this.#upstream.settleTasks();
    const ask = async (client: string, path: string): Promise<{ status: number; text: string }> => {
      const response = await worker.fetch(`${ORIGIN}${path}`, {
        headers: { ...bearer(client), accept: "application/json" },
      });
      return { status: response.status, text: await response.text() };
    };
    for (const object of host.all("JOBS")) {
      const stored = durableJob(object.storage);
      if (stored === null) continue;
      await this.#checkJob(object, stored.client, ask);
    }
    for (const facts of this.#witness.jobs.values()) {
      if (!facts.isAccepted || facts.isRemovalAsked) continue;
      if (durableJob(host.object("JOBS", facts.id).storage) === null) {
        this.#sim.violate("an answered 202 is never lost", `${this.#sim.named(facts.id)} has no record`);
      }
    }
    for (const { name, style } of this.#plan.jobs) {
      const made = this.#prompts.get(promptOf(name)) ?? [];
      // A client of a compatible API repeats without a key.
      const mayRepeat = style === "bare" || style === "openai" || style === "dashscope" || style === "dashscope task";
      if (!mayRepeat && made.length > 1) {
        const ids = made.map((id) => this.#sim.named(id)).join(" and ");
        this.#sim.violate("one submission makes one job", `${name} (${style}) made ${ids}`);
      }
    }
    for (const client of this.#plan.clients) {
      await this.#checkList(host, client, ask);
      await this.#checkBooks(client, ask);
    }
    this.#checkFiles(host);
    for (const [leaseId, jobId] of this.#leases) {
      this.#sim.violate("a lease is given back when its attempt is over", this.#sim.named(`${jobId} keeps ${leaseId}`));
    }
    await this.#checkLanes(ask);
  }

  async #checkJob(
    object: HostedObject,
    client: string,
    ask: (client: string, path: string) => Promise<{ status: number; text: string }>,
  ): Promise<void> {
    const { name: id } = object;
    const name = this.#sim.named(id);
    const stored = durableJob(object.storage);
    const { status, text } = await ask(client, paths.job(id));
    if (stored?.isRemoved === true) {
      if (status !== 410) this.#sim.violate("a removed job is gone", `${name} is answered ${status}`);
      if (stored.isUnsettled)
        this.#sim.violate("nothing is left of a job that is gone", `${name} still has something to clean up`);
      return;
    }
    if (status !== 200) {
      this.#sim.violate("an answered 202 is never lost", `${name} is answered ${status}: ${text.slice(0, 300)}`);
      return;
    }
    const job = JSON.parse(text) as Job;
    const facts = this.#witness.of(id);
    this.#witness.saw(job, facts.seq);
    if (!job.done) {
      const queue = job.queue === null ? "" : `, waits on ${job.queue.waitingOn}: ${job.queue.detail}`;
      this.#sim.violate("every job ends", `${name} is ${job.status}${queue} after faults have long stopped`);
      return;
    }
    if (job.error?.code === "deadline_exceeded" && job.request.deadlineSeconds >= DAY_SECONDS) {
      this.#sim.violate("every job ends", `${name} fails by its deadline of a day`);
    }
    // No link of a simulated upstream ends within a day, although it may fail for a while.
    const isGivenUp =
      job.error?.code === "result_lost" || job.warnings.some(({ code }) => code === "result_partly_lost");
    if (isGivenUp)
      this.#sim.violate("a paid result is never given up", `${name}: ${job.error?.message ?? "partly lost"}`);
    const { notes, isNoted } = facts;
    if (notes.length === 1 && isNoted && job.metadata.note !== notes[0]) {
      this.#sim.violate("what was shown is durable", `${name} has lost the metadata ${notes[0]}`);
    }
    this.#notes.set(id, JSON.stringify(job.metadata));
    this.#prompts.set(job.request.prompt, [...(this.#prompts.get(job.request.prompt) ?? []), job.id]);
    const isOpen = job.attempts.some(({ outcome, stillOpen }) => outcome === null || stillOpen);
    if (isOpen)
      this.#sim.violate("no attempt runs after its job", `${name} is ${job.status} and an attempt is still open`);
    await this.#checkEvents(job, client, ask);
    this.#checkLedger(job);
    if (job.status === "succeeded") await this.#checkImages(job, client, ask);
  }

  async #checkEvents(
    job: Job,
    client: string,
    ask: (client: string, path: string) => Promise<{ status: number; text: string }>,
  ): Promise<void> {
    const name = this.#sim.named(job.id);
    const events: JobEvent[] = [];
    for (;;) {
      const { text } = await ask(client, `${paths.jobEvents(job.id)}?after=${events.length}&limit=${EVENT_PAGE}`);
      const page = (JSON.parse(text) as { events: JobEvent[] }).events;
      events.push(...page);
      if (page.length < EVENT_PAGE) break;
    }
    for (const [index, event] of events.entries()) {
      if (event.seq !== index + 1)
        this.#sim.violate("events are gapless", `${name}: event ${index + 1} has seq ${event.seq}`);
      this.#witness.sawEvent(job.id, event);
      const before = events[index - 1]?.type;
      const wasFinal = before === "job.succeeded" || before === "job.failed" || before === "job.canceled";
      if (wasFinal && (before === "job.succeeded" || event.type !== "job.retried")) {
        this.#sim.violate("final states never change", `${name}: ${event.type} after ${before}`);
      }
    }
    const retried = events.filter(({ type }) => type === "job.retried").length;
    const { retries } = this.#witness.of(job.id);
    if (retried > retries) {
      this.#sim.violate(
        "a repeated retry is one retry",
        `${name} was retried ${retried} times, ${retries} were asked for`,
      );
    }
    if (events.at(-1)?.seq !== job.seq) {
      this.#sim.violate("events are gapless", `${name} has seq ${job.seq} and ${events.length} events`);
    }
    for (const seq of this.#witness.of(job.id).events.keys()) {
      if (seq > job.seq)
        this.#sim.violate("what was shown is durable", `${name}: event ${seq} was shown and is not there`);
    }
  }

  /** For each charge of upstream there is an attempt, and an attempt that cannot have been called is not counted. */
  #checkLedger(job: Job): void {
    const name = this.#sim.named(job.id);
    const calls = this.#upstream.calls.filter(({ jobId }) => jobId === job.id);
    const lastAttempt = job.attempts.at(-1)?.number ?? 0;
    const isPruned = job.attempts.length < lastAttempt;
    for (const call of calls) {
      if (call.billed === 0) continue;
      const chargedAttempts = job.attempts.filter(
        ({ number, upstream, mayBeBilled }) =>
          mayBeBilled && (number === call.attempt || (call.taskId !== null && upstream.taskId === call.taskId)),
      );
      if (chargedAttempts.length === 0 && !isPruned) {
        const attempt = job.attempts.find(({ number }) => number === call.attempt);
        this.#sim.violate(
          "mayBeBilled wherever something may have been billed",
          `${name}: upstream charged ${call.billed} for attempt ${call.attempt} (${attempt?.outcome}, task ${call.taskId})`,
        );
      }
    }
    const billed = calls.reduce((sum, call) => sum + billOf(call), 0);
    const charged = micros(job.cost?.charged ?? 0);
    const atRisk = micros(job.cost?.atRisk ?? 0);
    if (job.cost === null || billed < charged || billed > charged + atRisk) {
      this.#sim.violate(
        "upstream's bill of a job lies within its cost",
        `${name}: upstream charged ${billed} millionths; the job says ${charged} charged and ${atRisk} at risk`,
      );
    }
    for (const attempt of job.attempts) {
      const { taskId } = attempt.upstream;
      const isCalled = calls.some(
        (call) => (call.hasLeft && call.attempt === attempt.number) || (taskId !== null && call.taskId === taskId),
      );
      if (attempt.counted && attempt.outcome === "failed" && !isCalled) {
        this.#sim.violate(
          "only upstream's own failures count",
          `${name}: attempt ${attempt.number} is counted as failed, and upstream was never called: ${attempt.upstream.message ?? ""}`,
        );
      }
    }
  }

  async #checkImages(
    job: Job,
    client: string,
    ask: (client: string, path: string) => Promise<{ status: number; text: string }>,
  ): Promise<void> {
    const name = this.#sim.named(job.id);
    const made = new Set<string>();
    for (const { call, sha256 } of this.#upstream.results.values()) if (call.jobId === job.id) made.add(sha256);
    for (const image of job.output?.images ?? []) {
      if (!made.has(image.sha256)) {
        this.#sim.violate("an image is what upstream made", `${name}: image ${image.index} is none of upstream's`);
      }
      const { status } = await ask(client, paths.jobImage(job.id, image.index));
      if (status !== 200)
        this.#sim.violate("a succeeded job has its images", `${name}: image ${image.index} is answered ${status}`);
    }
    if ((job.output?.images.length ?? 0) === 0) this.#sim.violate("a succeeded job has its images", `${name} has none`);
  }

  async #checkList(
    host: ObjectHost,
    client: string,
    ask: (client: string, path: string) => Promise<{ status: number; text: string }>,
  ): Promise<void> {
    const listed = new Map<string, JobSummary>();
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? "?limit=100" : `?limit=100&cursor=${encodeURIComponent(cursor)}`;
      const { status, text } = await ask(client, `${paths.jobs}${query}`);
      if (status !== 200) {
        this.#sim.violate("the list agrees with the jobs", `the list of ${client} is answered ${status}`);
        return;
      }
      const page = JSON.parse(text) as { jobs: JobSummary[]; nextCursor: string | null };
      for (const job of page.jobs) listed.set(job.id, job);
      cursor = page.nextCursor;
    } while (cursor !== null);
    for (const object of host.all("JOBS")) {
      const stored = durableJob(object.storage);
      if (stored === null || stored.client !== client) continue;
      const name = this.#sim.named(object.name);
      const entry = listed.get(object.name);
      listed.delete(object.name);
      if (stored.isRemoved) {
        if (entry !== undefined) this.#sim.violate("nothing is left of a job that is gone", `${name} is still listed`);
        continue;
      }
      if (entry === undefined) this.#sim.violate("the list agrees with the jobs", `${name} is not listed`);
      else if (entry.status !== stored.status) {
        this.#sim.violate("the list agrees with the jobs", `${name} is ${stored.status} and listed as ${entry.status}`);
      } else if (JSON.stringify(entry.metadata) !== (this.#notes.get(object.name) ?? "{}")) {
        this.#sim.violate("the list agrees with the jobs", `${name} is listed with other metadata than it has`);
      }
    }
    for (const id of listed.keys()) {
      this.#sim.violate("the list agrees with the jobs", `${this.#sim.named(id)} is listed and does not exist`);
    }
  }

  /** The client's books, which include removed jobs, cover what upstream charged. The limit is not passed, and nothing is reserved. */
  async #checkBooks(
    client: string,
    ask: (client: string, path: string) => Promise<{ status: number; text: string }>,
  ): Promise<void> {
    const { status, text } = await ask(client, paths.usage);
    if (status !== 200) {
      this.#sim.violate("the Worker answers", `the usage of ${client} is answered ${status}`);
      return;
    }
    const { buckets, budget } = JSON.parse(text) as Usage;
    const results = buckets.flatMap((bucket) => bucket.results);
    const charged = results.reduce((sum, result) => sum + micros(result.charged), 0);
    const atRisk = results.reduce((sum, result) => sum + micros(result.atRisk), 0);
    const billed = this.#billedOf(client);
    if (billed < charged || billed > charged + atRisk) {
      this.#sim.violate(
        "upstream's bill of a client lies within its books",
        `upstream charged ${billed} millionths for ${client}; its books say ${charged} charged and ${atRisk} at risk`,
      );
    }
    if (budget === null) return;
    const reserved = micros(budget.reserved);
    if (reserved !== 0) {
      this.#sim.violate("nothing is reserved once every job is over", `${reserved} millionths of ${client} are`);
    }
    const used = micros(budget.charged) + reserved + micros(budget.atRisk);
    if (used > micros(budget.limit)) {
      this.#sim.violate(LIMIT_HELD, `${used} millionths of ${client} are used, its limit is ${micros(budget.limit)}`);
    }
  }

  /**
   * Every file belongs to an existing job; or it was put after its job's removal, and the tombstone removes it; or it is an
   * upload whose submission never came, and its object has an alarm to remove it.
   */
  #checkFiles(host: ObjectHost): void {
    for (const [key, { uploadedMs }] of this.#bucket.files) {
      const [, id = ""] = key.split("/");
      const object = host.object("JOBS", id);
      const job = durableJob(object.storage);
      const isLeft =
        job === null
          ? object.storage.isEmpty || !object.isAlarmArmed
          : job.isRemoved && uploadedMs <= (this.#removedAtMs.get(id) ?? Number.POSITIVE_INFINITY);
      if (isLeft) this.#sim.violate("nothing is left in R2 of a job that is gone", this.#sim.named(key));
    }
  }

  async #checkLanes(ask: (client: string, path: string) => Promise<{ status: number; text: string }>): Promise<void> {
    const [client = ""] = this.#plan.clients;
    const { status, text } = await ask(client, paths.limits);
    if (status !== 200) {
      this.#sim.violate("the Worker answers", `limits are answered ${status}`);
      return;
    }
    const { lanes } = JSON.parse(text) as { lanes: { model: string; queued: number; inProgress: number }[] };
    for (const { model, queued, inProgress } of lanes) {
      if (queued > 0 || inProgress > 0) {
        this.#sim.violate(
          "nothing is left in the lane of a job that is over",
          `${model}: ${queued} queued and ${inProgress} in progress, and every job is over`,
        );
      }
    }
  }

  /** Days later there is no record, no file and no alarm, and there were few alarms. */
  afterForgetting(host: ObjectHost, alarms: number): void {
    for (const object of host.all("JOBS")) {
      if (!object.storage.isEmpty) {
        const job = durableJob(object.storage);
        this.#sim.violate(
          "nothing is left of a job that is gone",
          `${this.#sim.named(object.name)} is still stored (${job?.status})`,
        );
      }
    }
    for (const object of host.all()) {
      if (object.isAlarmArmed) {
        const dueMs = (object.alarmDueAtMs ?? 0) - this.#sim.nowMs;
        this.#sim.violate(
          "no object wakes for ever",
          `${this.#sim.named(object.label)} has an alarm in ${Math.round(dueMs / 1000)} s`,
        );
      }
    }
    for (const key of this.#bucket.files.keys()) {
      this.#sim.violate("nothing is left in R2 of a job that is gone", this.#sim.named(key));
    }
    const stored = host.all("JOBS").filter(({ wasEverStored }) => wasEverStored).length;
    const bound = ALARMS_TO_FORGET * Math.max(1, stored);
    if (alarms > bound) this.#sim.violate("no object wakes for ever", `${alarms} alarms while all was over`);
  }
}
