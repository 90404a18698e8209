import { DarkroomProblem } from "../../client/errors.ts";
import type { ConnectionState } from "../../client/follow.ts";
import { worstConnection } from "../state/connection.ts";
import { isShutOut } from "./access.ts";
import { darkroom, onUnanswered } from "./darkroom.ts";
import { doubtLinks, pauseUntil, untilLinkCheck } from "./link-check.ts";
import { ListRounds } from "./list-round.ts";
import { forgetJob, learnSoon, learnTold } from "./live-jobs.ts";
import { isOperator } from "./operator.ts";
import { createStore } from "./store.ts";

/** Before the feed is given up as broken and opened again; the client itself reconnects far sooner where that helps. */
const REOPEN_MS = 5_000;

/** Between two rounds over the lists where there is no feed: as late as news may be under a lamp that says so. */
const ROUND_MS = 5_000;

/** How the feed fares. */
export const feedState = createStore<ConnectionState>("connecting");

/** Moves when the first page must be fetched again: the feed stands for the first time, or lists are answered again. */
export const feedStood = createStore(0);

/** Up to where the feed was heard; kept like the list that it fills, while the gate is shut too. */
let after: number | undefined;

/**
 * Follows the one live feed until `signal` or the gate shuts. What is missed while it is down comes with the reconnection; the
 * first page is fetched once the feed stands, as its contract asks, so that nothing falls between list and feed.
 */
export async function followFeed(signal: AbortSignal): Promise<void> {
  const tell = (state: ConnectionState) => {
    // Between two connections the feed is neither over nor new.
    if (state === "closed") return;
    feedState.set(state === "connecting" && after !== undefined ? "reconnecting" : state);
  };
  while (!signal.aborted) {
    const checked = untilLinkCheck();
    const until = AbortSignal.any([signal, checked]);
    try {
      for await (const frame of darkroom.watchAll({ signal: until, after, onState: tell })) {
        if (frame.type === "job") learnSoon(frame.job);
        else learnTold();
        if (frame.type === "deleted") forgetJob(frame.id);
        else if (frame.type === "ready" && after === undefined) {
          isOperator.set(false);
          feedStood.set(feedStood.get() + 1);
        }
        after = frame.cursor;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (checked.aborted) continue;
      // The operator sees everyone's jobs, and there is no one feed of them.
      if (error instanceof DarkroomProblem && error.code === "invalid_query") {
        isOperator.set(true);
        return followLists(signal);
      }
      feedState.set("reconnecting");
      if (await isShutOut(error)) return;
    }
    await pauseUntil(REOPEN_MS, until);
  }
}

// A call that fails while all is thought to be well: so it is not, or not for all.
onUnanswered(() => {
  if (feedState.get() === "live") doubtLinks();
});

/** In place of a feed: the lists are asked again and again, until `signal` or the gate shuts. */
async function followLists(signal: AbortSignal): Promise<void> {
  const rounds = new ListRounds();
  let stands = false;
  while (!signal.aborted) {
    const checked = untilLinkCheck();
    const until = AbortSignal.any([signal, checked]);
    try {
      const round = await rounds.next(until);
      feedState.set("polling");
      if (!stands || round === "anew") feedStood.set(feedStood.get() + 1);
      stands = true;
    } catch (error) {
      if (signal.aborted) return;
      stands = false;
      feedState.set("reconnecting");
      if (checked.aborted) continue;
      if (await isShutOut(error)) return;
    }
    await pauseUntil(ROUND_MS, until);
  }
}

/** How the connection of the job that is looked at fares; live when none is. */
export const watchedState = createStore<ConnectionState>("live");

/** What the lamp tells: the page is only as fresh as the worse of its connections. */
export const connection = createStore<ConnectionState>("connecting");

function update(): void {
  connection.set(worstConnection([feedState.get(), watchedState.get()]));
}
feedState.subscribe(update);
watchedState.subscribe(update);
