import type { JobFrame } from "../schemas/event.ts";
import type { Job } from "../schemas/job.ts";
import type { Sim } from "./engine/sim.ts";

/** What is known of one job from outside. */
export interface JobFacts {
  readonly id: string;
  client: string;
  /** A client received the answer that the job is stored. */
  isAccepted: boolean;
  /** A client asked for its removal, so the job may be removed from then on. */
  isRemovalAsked: boolean;
  isRemovalAnswered: boolean;
  isRetryAsked: boolean;
  isCancelAsked: boolean;
  /** How many retries clients asked for; the repetition of one is no other. */
  retries: number;
  /** Notes that clients asked to keep as the job's metadata. */
  readonly notes: string[];
  /** One of them was answered to be kept. */
  isNoted: boolean;
  /** The highest version that any client saw. */
  seq: number;
  final: { readonly seq: number; readonly status: string } | null;
  /** Every event that any client saw, as text. */
  readonly events: Map<number, string>;
}

/** Collects what clients see, and compares it with everything seen before. */
export class Witness {
  readonly jobs = new Map<string, JobFacts>();
  readonly #sim: Sim;
  /** Since when nothing of a lane or client may start, and until when; `null`: until a resume is asked for. */
  readonly #orders = new Map<string, { readonly sinceMs: number; readonly untilMs: number | null }>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  of(id: string): JobFacts {
    const known = this.jobs.get(id);
    if (known !== undefined) return known;
    const made: JobFacts = {
      id,
      client: "",
      isAccepted: false,
      isRemovalAsked: false,
      isRemovalAnswered: false,
      isRetryAsked: false,
      isCancelAsked: false,
      retries: 0,
      notes: [],
      isNoted: false,
      seq: 0,
      final: null,
      events: new Map(),
    };
    this.jobs.set(id, made);
    return made;
  }

  /** The operator was answered that a pause of this lane or client, or a limit of a lane (`limit of`), is in force from now on. */
  ordered(subject: string, untilMs: number | null): void {
    this.#orders.set(subject, { sinceMs: this.#sim.nowMs, untilMs });
  }

  /** The operator asks for the end of an order. */
  orderEnded(subject: string): void {
    this.#orders.delete(subject);
  }

  /** Since when an order about this subject is in force at that time; null when none is. */
  orderedSinceMs(subject: string, atMs: number): number | null {
    const order = this.#orders.get(subject);
    if (order === undefined || atMs <= order.sinceMs) return null;
    // Its end is a time by the lane's clock.
    const isOver = order.untilMs !== null && atMs >= order.untilMs - this.#sim.clocksDifferMs;
    return isOver ? null : order.sinceMs;
  }

  accepted(job: Job, client: string): void {
    const facts = this.of(job.id);
    facts.isAccepted = true;
    facts.client = client;
    this.saw(job, 0);
  }

  /** `seqBefore`: the highest version that any client had seen when this read was sent. */
  saw(job: Job, seqBefore: number): void {
    const facts = this.of(job.id);
    const name = this.#sim.named(job.id);
    if (job.seq < seqBefore) {
      this.#sim.violate(
        "what was shown is durable",
        `${name} is shown at seq ${job.seq} after it was shown at ${seqBefore}`,
      );
    }
    facts.seq = Math.max(facts.seq, job.seq);
    const { final } = facts;
    if (final !== null && job.seq === final.seq && job.status !== final.status) {
      this.#sim.violate(
        "final states never change",
        `${name} was ${final.status} at seq ${final.seq} and is ${job.status}`,
      );
    }
    if (final?.status === "succeeded" && job.seq > final.seq) {
      this.#sim.violate("final states never change", `${name} succeeded at seq ${final.seq} and has seq ${job.seq}`);
    }
    if (job.done) facts.final = { seq: job.seq, status: job.status };
  }

  /** An event over any connection. All clients see the same event. */
  sawEvent(jobId: string, event: { readonly seq: number }): void {
    const facts = this.of(jobId);
    const text = JSON.stringify(event, sortedKeys);
    const known = facts.events.get(event.seq);
    if (known === undefined) facts.events.set(event.seq, text);
    else if (known !== text) {
      this.#sim.violate(
        "events are the same for every watcher",
        `${this.#sim.named(jobId)} event ${event.seq}: ${known} and ${text}`,
      );
    }
    facts.seq = Math.max(facts.seq, event.seq);
  }

  /** A watcher's frames, in order. */
  watcher(jobId: string, name: string, after: number | null): (frame: JobFrame) => void {
    let last = after;
    return (frame) => {
      if (frame.event !== null) {
        if (last !== null && frame.event.seq !== last + 1) {
          this.#sim.violate(
            "events are gapless for a watcher",
            `${name} got event ${frame.event.seq} of ${this.#sim.named(jobId)} after ${last}`,
          );
        }
        last = frame.event.seq;
        this.sawEvent(jobId, frame.event);
      } else last ??= frame.seq;
      this.saw(frame.job, 0);
    };
  }

  /** A job was answered 404 or 410. That is a violation if it was accepted and no client asked for its removal. */
  missed(jobId: string, status: number, by: string): void {
    const facts = this.of(jobId);
    if (!facts.isAccepted || facts.isRemovalAsked) return;
    this.#sim.violate("an answered 202 is never lost", `${by} is answered ${status} for ${this.#sim.named(jobId)}`);
  }
}

/** Sorts fields, so that two texts of the same event are equal. */
function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
