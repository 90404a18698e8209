import { orAfter } from "../bounds.ts";
import type { Place } from "../lane/contract.ts";
import { FIRST_PLACES } from "../lane/core/place.ts";
import { laneStub } from "../stubs.ts";
import { placeFreshMs } from "./core/view.ts";
import type { JobHost } from "./job-host.ts";

/** A read waits this long for the lane, in ms (spec section 6), and then shows the last known place. */
const READ_WAIT_MS = 300;
/**
 * How long after its estimated start a queued job asks again, in ms, in case the lane lost the ticket. Usually its attempt is
 * over by then, so no alarm is wasted.
 */
const CHECK_SLACK_MS = 45_000;
/** It asks at least this often, in ms. */
const CHECK_AT_MOST_MS = 30 * 60_000;
/**
 * Without an estimate (blocked, paused) it asks after a second for each place in the queue, and after a minute at least: a lost
 * ticket at the front is found within a minute, and with N waiting the lane is asked about ln(N) times a second.
 */
const CHECK_PER_PLACE_MS = 1_000;
const CHECK_AT_LEAST_MS = 60_000;

/** The last known place of the job in its lane. Kept in memory only: a new object asks the lane again. */
export class QueuePlace {
  readonly #env: Env;
  readonly #host: JobHost;
  #known: {
    readonly place: Place;
    readonly ticketNumber: number;
    readonly atMs: number;
    readonly watched: boolean;
  } | null = null;
  #checkAtMs: number | null = null;
  #asking: { readonly watched: boolean; readonly answered: Promise<void> } | null = null;

  constructor(env: Env, host: JobHost) {
    this.#env = env;
    this.#host = host;
  }

  /** The place of the job's current ticket; null when it is not known. */
  get now(): Place | null {
    return this.#current()?.place ?? null;
  }

  /** When the lane is asked whether it still has the ticket; null: now. */
  get checkAtMs(): number | null {
    return this.#isElsewhere() ? null : this.#checkAtMs;
  }

  /** Whether the job is queued in a lane that today's settings do not name any more. */
  #isElsewhere(): boolean {
    const job = this.#host.job();
    if (job?.state.status !== "queued" || job.state.lane === null) return false;
    const lane = this.#host.laneOf(job);
    return lane !== null && job.state.lane !== lane;
  }

  #current() {
    return this.#known?.ticketNumber === this.#host.job()?.ticketNumber ? this.#known : null;
  }

  /** Keeps a place that the lane has sent. Watchers are notified when it differs. */
  remember(place: Place | null, ticketNumber: number, watched: boolean): void {
    const nowMs = Date.now();
    const before = JSON.stringify(this.now);
    this.#known = place === null ? null : { place, ticketNumber, atMs: nowMs, watched };
    const estimateMs = place?.estimatedStartAtMs ?? null;
    const afterMs =
      estimateMs === null
        ? Math.max(CHECK_AT_LEAST_MS, (place?.position ?? 0) * CHECK_PER_PLACE_MS)
        : Math.max(0, estimateMs - nowMs) + CHECK_SLACK_MS;
    this.#checkAtMs = nowMs + Math.min(afterMs, CHECK_AT_MOST_MS);
    if (this.#host.isWatched && before !== JSON.stringify(this.now)) this.#host.placeMoved();
  }

  /** Nobody watches any more: the next reader asks the lane again. */
  unwatched(): void {
    if (this.#known !== null) this.#known = { ...this.#known, watched: false };
  }

  /** As `refresh`, for a reader: resolves after 300 ms at most. */
  refreshForRead(): Promise<void> | null {
    const asked = this.refresh(true);
    return asked === null ? null : orAfter(READ_WAIT_MS, asked, undefined);
  }

  /**
   * Asks the lane for the place; null when the known one is fresh, or is watched, so that the lane sends its changes. The lane
   * sends changes beyond the first places late, so a reader asks for these as if nobody watched. Concurrent readers share one
   * call. Never rejects.
   */
  refresh(isRead = false): Promise<void> | null {
    const watched = this.#host.isWatched;
    if (this.#isFresh(watched, isRead)) return null;
    if (this.#asking !== null && (this.#asking.watched || !watched)) return this.#asking.answered;
    const asking = {
      watched,
      answered: this.#ask(watched).finally(() => {
        if (this.#asking === asking) this.#asking = null;
      }),
    };
    this.#asking = asking;
    return asking.answered;
  }

  /** Whether there is nothing to ask: the job is not queued, or its place is known and fresh. */
  #isFresh(watched: boolean, isRead: boolean): boolean {
    if (this.#host.job()?.state.status !== "queued") return true;
    const known = this.#current();
    if (known === null) return false;
    const isYoung = Date.now() - known.atMs < placeFreshMs(known.place, known.atMs);
    if (!known.watched) return !watched && isYoung;
    return isYoung || !isRead || known.place.position <= FIRST_PLACES;
  }

  async #ask(watched: boolean): Promise<void> {
    const job = this.#host.job();
    if (job?.state.status !== "queued") return;
    // That a lane has the ticket is known in memory only: after an eviction the lane of today's settings is asked.
    const lane = job.state.lane ?? this.#host.laneOf(job);
    if (lane === null) return;
    const { id, ticketNumber } = job;
    try {
      const place = await laneStub(this.#env, lane).place(id, watched);
      if (place !== null) this.remember(place, ticketNumber, watched);
      else if (this.#host.apply({ type: "ticket_missing", ticketNumber })) this.#host.pump();
    } catch (error) {
      // The last known place is shown; the next reader asks again.
      this.#host.log("place_unknown", { reason: String(error) });
    }
  }
}
