import type { ConnectionState } from "../../client/follow.ts";
import { worstConnection } from "../state/connection.ts";
import { EVERYTHING } from "../state/filter.ts";
import { access, isShutOut } from "./access.ts";
import { darkroom, onUnanswered } from "./darkroom.ts";
import { doubtLinks, pauseUntil, untilLinkCheck } from "./link-check.ts";
import { ListRounds } from "./list-round.ts";
import { forgetJob, learnGathered, learnSoon, loadFirstPage, outdateLoading } from "./live-jobs.ts";
import { createStore } from "./store.ts";

/** The wait before a feed that the client gave up is opened again; the client itself reconnects far sooner where that helps. */
const REOPEN_MS = 5_000;

/** Between two rounds over the lists where there is no feed. */
export const ROUND_MS = 5_000;

/** An operator's page opens a feed for each client, up to this number of clients; a browser allows some 250 sockets to one host. */
const MAX_FEEDS = 50;

/** The state of the feeds. */
const feedState = createStore<ConnectionState>("connecting");

/** The state of the connection of the job whose view is open; live when none is open. */
export const watchedState = createStore<ConnectionState>("live");

/** What the lamp shows: the worse of the two, because the page is only as fresh as that. */
export const connection = createStore<ConnectionState>("connecting");

function update(): void {
  connection.set(worstConnection([feedState.get(), watchedState.get()]));
}
feedState.subscribe(update);
watchedState.subscribe(update);

/** Rises when first pages must be fetched again, because changes were missed. */
export const listsMissed = createStore(0);

function missLists(): void {
  outdateLoading();
  listsMissed.set(listsMissed.get() + 1);
}

/** The last number received of each client's feed. Like the list that it fills, it is kept while the gate is shut. */
const heard = new Map<string, number>();

/** Follows the live feeds of all jobs that this person may see, until `signal` is aborted or the gate shuts. */
export async function followFeeds(signal: AbortSignal): Promise<void> {
  const gate = access.get();
  if (gate.kind !== "open") return;
  const { role, clients, client } = gate.identity;
  if (role === "client") return followOwn(client, signal);
  if (clients.length > MAX_FEEDS) return followLists(signal);
  return followClients(clients, signal);
}

/** A client's one feed, from the feed number of the first list: later changes come as frames, so nothing is fetched twice. */
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

/** The wait for further feeds to open, before the lists are fetched for the clients whose feeds are open. */
const GATHER_FEEDS_MS = 2_000;

/**
 * The feeds of all clients. No feed brings what changed after the lists were read and before that feed was open. So the lists are
 * fetched again once all feeds are open, and earlier when some feeds do not open.
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

/** One feed, over all its reconnections. A reconnection brings what was missed while the feed was down. */
async function followFeed(
  name: string,
  signal: AbortSignal,
  onState: (state: ConnectionState) => void,
  onStand: ((name: string) => void) | undefined,
  client?: string,
): Promise<void> {
  const show = (state: ConnectionState) => {
    // Between two connections the feed is reconnecting: neither closed nor connecting for the first time.
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

/** The feeds that were open once: from then on a lost one is shown as reconnecting. */
const isOpen = new Set<string>();

// A call without an answer while the feed seems live: the network may be lost.
onUnanswered(() => {
  if (feedState.get() === "live") doubtLinks();
});

/** In place of feeds: reads the lists every 5 s, until `signal` is aborted or the gate shuts. */
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
