import type { ConnectionState } from "../../client/follow.ts";
import { worstConnection } from "../state/connection.ts";
import { EVERYTHING } from "../state/filter.ts";
import { access, isShutOut } from "./access.ts";
import { darkroom, onUnanswered } from "./darkroom.ts";
import { doubtLinks, pauseUntil, untilLinkCheck } from "./link-check.ts";
import { ListRounds } from "./list-round.ts";
import { forgetJob, learnGathered, learnSoon, loadFirstPage, outdateLoading } from "./live-jobs.ts";
import { createStore } from "./store.ts";

/** Before the feed is given up as broken and opened again; the client itself reconnects far sooner where that helps. */
const REOPEN_MS = 5_000;

/** Between two rounds over the lists where there is no feed. */
export const ROUND_MS = 5_000;

/** An operator's page opens a feed for each client, up to so many; a browser allows some 250 sockets to one host. */
const MAX_FEEDS = 50;

/** The state of the feeds. */
const feedState = createStore<ConnectionState>("connecting");

/** The state of the connection of the job that is looked at; live when none is. */
export const watchedState = createStore<ConnectionState>("live");

/** What the lamp shows: the page is only as fresh as the worse of its connections. */
export const connection = createStore<ConnectionState>("connecting");

function update(): void {
  connection.set(worstConnection([feedState.get(), watchedState.get()]));
}
feedState.subscribe(update);
watchedState.subscribe(update);

/** Moves when first pages must be fetched again, because changes were missed. */
export const listsMissed = createStore(0);

function missLists(): void {
  outdateLoading();
  listsMissed.set(listsMissed.get() + 1);
}

/** Up to where each client's feed was heard; kept like the list that it fills, while the gate is shut too. */
const heard = new Map<string, number>();

/** Follows the live feeds of all jobs that this person may see, until `signal` or the gate shuts. */
export async function followFeeds(signal: AbortSignal): Promise<void> {
  const gate = access.get();
  if (gate.kind !== "open") return;
  const { role, clients, client } = gate.identity;
  if (role === "client") return followOwn(client, signal);
  if (clients.length > MAX_FEEDS) return followLists(signal);
  return followClients(clients, signal);
}

/** A client's one feed, from where the first list stood: what changes after it comes as a frame, so nothing is fetched twice. */
async function followOwn(client: string, signal: AbortSignal): Promise<void> {
  while (!heard.has(client)) {
    const until = AbortSignal.any([signal, untilLinkCheck()]);
    try {
      heard.set(client, (await loadFirstPage(EVERYTHING)) ?? 0);
    } catch (error) {
      if (signal.aborted) return;
      feedState.set("reconnecting");
      if (await isShutOut(error)) return;
      await pauseUntil(REOPEN_MS, until);
    }
    if (signal.aborted) return;
  }
  await followFeed(client, signal, (state) => feedState.set(state), undefined);
}

/** While feeds of several clients open one after the other, before the lists are fetched for those that are open. */
const GATHER_FEEDS_MS = 2_000;

/**
 * The feeds of all clients. What changed before a feed was open, and after the lists were asked for, comes with no feed: so the
 * lists are fetched again once all feeds are open, and sooner for some when others do not open.
 */
async function followClients(clients: readonly string[], signal: AbortSignal): Promise<void> {
  const states = new Map<string, ConnectionState>(clients.map((client) => [client, "connecting"]));
  const change = (client: string, state: ConnectionState) => {
    states.set(client, state);
    feedState.set(worstConnection([...states.values()]));
  };
  const waiting = new Set(clients.filter((client) => !heard.has(client)));
  let timer: ReturnType<typeof setTimeout> | undefined;
  signal.addEventListener("abort", () => clearTimeout(timer));
  const stand = (client: string) => {
    if (!waiting.delete(client)) return;
    clearTimeout(timer);
    if (waiting.size === 0) missLists();
    else timer = setTimeout(missLists, GATHER_FEEDS_MS);
  };
  if (clients.length === 0) feedState.set("live");
  await Promise.all(
    clients.map((client) => followFeed(client, signal, (state) => change(client, state), stand, client)),
  );
}

/** One feed, over all its reconnections. What is missed while it is down comes with the reconnection. */
async function followFeed(
  name: string,
  signal: AbortSignal,
  onState: (state: ConnectionState) => void,
  onStand: ((name: string) => void) | undefined,
  client?: string,
): Promise<void> {
  const show = (state: ConnectionState) => {
    // Between two connections the feed is neither over nor new.
    if (state === "closed") return;
    onState(state === "connecting" && isOpen.has(name) ? "reconnecting" : state);
  };
  while (!signal.aborted) {
    const checked = untilLinkCheck();
    const until = AbortSignal.any([signal, checked]);
    try {
      const after = heard.get(name);
      for await (const frame of darkroom.watchAll({ signal: until, after, client, onState: show })) {
        if (frame.type === "job") learnSoon(frame.job);
        else learnGathered();
        if (frame.type === "deleted") forgetJob(frame.id);
        if (frame.type === "ready") {
          isOpen.add(name);
          onStand?.(name);
        }
        heard.set(name, frame.cursor);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (checked.aborted) continue;
      onState("reconnecting");
      if (await isShutOut(error)) return;
    }
    await pauseUntil(REOPEN_MS, until);
  }
}

/** The feeds that stood once: from then on a lost one is said to reconnect. */
const isOpen = new Set<string>();

// A call that fails while all is thought to be well: so it is not, or not for all.
onUnanswered(() => {
  if (feedState.get() === "live") doubtLinks();
});

/** In place of feeds: the lists are asked again and again, until `signal` or the gate shuts. */
async function followLists(signal: AbortSignal): Promise<void> {
  const rounds = new ListRounds();
  let stands = false;
  while (!signal.aborted) {
    const checked = untilLinkCheck();
    const until = AbortSignal.any([signal, checked]);
    try {
      const round = await rounds.next(until);
      feedState.set("polling");
      if (!stands || round === "anew") missLists();
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
