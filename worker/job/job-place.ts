import { orAfter, within } from "../bounds.ts";
import type { Place } from "../lane/contract.ts";
import { laneName } from "../lane/lane-name.ts";
import { laneStub } from "../stubs.ts";
import { placeFreshMs } from "./core/job-view.ts";
import type { JobShell } from "./job-shell.ts";

/** A waiting job asks its lane again this long after its turn should have come: its attempt is over then, mostly, and no alarm wasted. */
const LANE_CHECK_SLACK_MS = 45_000;
/** A read waits so long for the lane, in ms (spec section 6), and then shows the last known place. */
const READ_WAIT_MS = 300;
/** A lane that has not answered by then is asked again by the next reader, in ms. */
const ASK_BOUND_MS = 10_000;
/** In case the lane lost its ticket. One whose lane is another by now hears of that sooner, by the old one's next offer. */
const LANE_CHECK_AT_MOST_MS = 30 * 60_000;
/**
 * Without an estimate (blocked, paused) the lane is asked after a second for each place in line, and a minute at least: the
 * first are found within a minute, and with N waiting the lane is asked about ln(N) times a second.
 */
const LANE_CHECK_PER_PLACE_MS = 1_000;
const LANE_CHECK_AT_LEAST_MS = 60_000;

/** What the lane last said of the job's place in line. Lost with the object: then the lane is asked again. */
export class JobPlace {
  readonly #env: Env;
  readonly #shell: JobShell;
  #said: { readonly place: Place; readonly round: number; readonly atMs: number; readonly watched: boolean } | null =
    null;
  #checkAtMs: number | null = null;
  #asking: { readonly watched: boolean; readonly answered: Promise<void> } | null = null;

  constructor(env: Env, shell: JobShell) {
    this.#env = env;
    this.#shell = shell;
  }

  /** The last known place of the round that the job is in. */
  get now(): Place | null {
    return this.#known()?.place ?? null;
  }

  /** When the lane is asked whether it still has the job; null: now. */
  get checkAtMs(): number | null {
    return this.#isElsewhere() ? null : this.#checkAtMs;
  }

  /** In line where the settings of before had it: it asks the lane of today's at once. */
  #isElsewhere(): boolean {
    const record = this.#shell.job();
    const config = this.#shell.config();
    if (record?.state.status !== "queued" || record.state.lane === null || config === null) return false;
    return record.state.lane !== laneName(config, record.model);
  }

  #known() {
    return this.#said !== null && this.#said.round === this.#shell.job()?.round ? this.#said : null;
  }

  /** The lane's lease came too late to be used: it is asked again at once. */
  askAgain(): void {
    this.#checkAtMs = null;
  }

  /** What the lane said, by whichever way it came. Whoever watches is told when it is news. */
  remember(place: Place | null, round: number, watched: boolean): void {
    const nowMs = Date.now();
    const before = JSON.stringify(this.now);
    this.#said = place === null ? null : { place, round, atMs: nowMs, watched };
    const estimateMs = place?.estimatedStartAtMs ?? null;
    const afterMs =
      estimateMs === null
        ? Math.max(LANE_CHECK_AT_LEAST_MS, (place?.position ?? 0) * LANE_CHECK_PER_PLACE_MS)
        : Math.max(0, estimateMs - nowMs) + LANE_CHECK_SLACK_MS;
    this.#checkAtMs = nowMs + Math.min(afterMs, LANE_CHECK_AT_MOST_MS);
    if (this.#shell.watched && before !== JSON.stringify(this.now)) this.#shell.placeMoved();
  }

  /** Nobody watches any more: the next place is asked for again. */
  unwatched(): void {
    if (this.#said !== null) this.#said = { ...this.#said, watched: false };
  }

  /** As `refresh`, for a reader: resolves after 300 ms at most. */
  refreshForRead(): Promise<void> | null {
    const asked = this.refresh();
    return asked === null ? null : orAfter(READ_WAIT_MS, asked, undefined);
  }

  /**
   * Asks the lane for the place; null when what is known is fresh, or a watched place, which the lane keeps fresh itself.
   * Readers that come together ask once. Never rejects.
   */
  refresh(): Promise<void> | null {
    const { watched } = this.#shell;
    if (this.#isFresh(watched)) return null;
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

  /** Whether there is nothing to ask for: out of line, told by the lane itself, or asked for a moment ago. */
  #isFresh(watched: boolean): boolean {
    if (this.#shell.job()?.state.status !== "queued") return true;
    const known = this.#known();
    if (known === null || known.watched) return known !== null;
    return !watched && Date.now() - known.atMs < placeFreshMs(known.place, known.atMs);
  }

  async #ask(watched: boolean): Promise<void> {
    const record = this.#shell.job();
    if (record?.state.status !== "queued") return;
    const config = this.#shell.config();
    // That the lane has the ticket is kept in memory only: after an eviction the lane is asked all the same.
    const lane = record.state.lane ?? (config === null ? null : laneName(config, record.model));
    if (lane === null) return;
    try {
      const asked = laneStub(this.#env, lane).place(record.id, watched);
      const place = await within(ASK_BOUND_MS, "the lane", asked);
      if (place !== null) this.remember(place, record.round, watched);
      else if (this.#shell.apply({ type: "ticket_missing", round: record.round })) this.#shell.pump();
    } catch (error) {
      // The last known place is shown; the next reader asks again.
      this.#shell.log("place_unknown", { reason: String(error) });
    }
  }
}
