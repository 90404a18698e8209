import { PING, PONG } from "../../schemas/event.ts";
import { answerClose, type Frame, type Outlet, openSocket, openSockets, StreamOutlets } from "./outlets.ts";
import { type Audience, refuseWatch, type WatchRequest } from "./watch-request.ts";

/** More sockets on one object are refused. The platform's own bound is 32 768; each costs a send per change. */
const MAX_SOCKETS = 5_000;

/** More streams on one object are refused: unlike a socket, a stream keeps the object in memory. */
const MAX_STREAMS = 200;

/** Items sent in one turn to a watcher that catches up, so that the object stays responsive and a stream's backlog is enough. */
const CATCH_UP_BATCH = 100;

/** Between two turns of catching up, in ms. */
const CATCH_UP_PAUSE_MS = 20;

/** A watcher sends nothing but `ping`; a longer text is no mistaken keep-alive. */
const MAX_MESSAGE_CHARS = 1_024;

/** A change that watchers get. */
export interface WatchItem {
  /** Its number in the log that watchers resume from; null when it is in no log (a place in the queue). */
  readonly number: number | null;
}

/** What is watched: a log of numbered items, and how each becomes a frame. All synchronous, so that no change comes between. */
export interface WatchSource<Item extends WatchItem> {
  /** Numbered items above `after`, oldest first, at most `limit`; fewer than `limit` means that these are all. */
  itemsAfter(after: number, limit: number): readonly Item[];
  /** What a watcher gets that does not resume: the state now. */
  itemsNow(): readonly Item[];
  /** What a watcher gets after the last item that it missed; `missed` is the last batch of them. */
  itemsAtEnd(missed: readonly Item[]): readonly Item[];
  /** Null when the item is obsolete by now. */
  frame(item: Item, audience: Audience): Frame | null;
  /** Why nothing will ever follow; null while something may. Watchers that have everything are then closed with 1000. */
  isOver(): string | null;
}

/** How a watcher's connection ends, besides 1000 for the end of what it watches. */
const LINK_ENDED = { code: 4403, reason: "the link that opened this has ended" } as const;

/**
 * All watchers of one object, over hibernating WebSockets and SSE streams, with one policy for both. Every watcher gets each
 * numbered item once and in order: one that is behind is caught up from the log, and left out of live changes meanwhile, since
 * the log then holds them too. A closed or slow connection loses nothing: its reader resumes by number.
 */
export class Watchers<Item extends WatchItem> {
  readonly #ctx: DurableObjectState;
  readonly #source: WatchSource<Item>;
  readonly #streams = new StreamOutlets();
  /** For streams that had no room: what they still get after the items that they missed. Sockets always take all at once. */
  readonly #left = new WeakMap<Outlet, Item[]>();
  #catchingUp = false;

  constructor(ctx: DurableObjectState, source: WatchSource<Item>) {
    this.#ctx = ctx;
    this.#source = source;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  get isWatched(): boolean {
    return this.#streams.all.length > 0 || this.#ctx.getWebSockets().length > 0;
  }

  /**
   * Answers an upgrade or a stream that http let in. 204 for a stream of something that is over when the watcher has all of
   * it; refused with `too_many_watchers` when full.
   */
  open(watch: WatchRequest): Response {
    const { mode, after } = watch;
    const isSeen = after !== null && this.#source.itemsAfter(after, 1).length === 0;
    if (mode === "sse" && isSeen && this.#source.isOver() !== null) return new Response(null, { status: 204 });
    const isFull =
      mode === "ws" ? this.#ctx.getWebSockets().length >= MAX_SOCKETS : this.#streams.all.length >= MAX_STREAMS;
    if (isFull) return refuseWatch("too_many_watchers");
    const opened = mode === "ws" ? openSocket(this.#ctx, watch, after) : this.#streams.open(watch, after);
    if (after === null) this.#sendAll(opened.outlet, this.#source.itemsNow());
    else this.#catchUpOnce(opened.outlet);
    this.#closeIfOver(opened.outlet);
    this.catchUp();
    return opened.response;
  }

  /** Sends items to every watcher that is not behind, and lets the others catch up. */
  notify(items: readonly Item[]): void {
    const framesOf = this.#framesByAudience(items);
    for (const outlet of this.#outlets()) {
      if (outlet.cursor === null) {
        if (this.#sendFrames(outlet, framesOf(outlet.audience))) this.#closeIfOver(outlet);
      } else {
        // The last of the remaining items (`ready`) marks the end of catching up, so these come before it.
        this.#left.get(outlet)?.splice(-1, 0, ...items.filter(({ number }) => number === null));
      }
    }
    this.catchUp();
  }

  /** Catches up the watchers that are behind, unless that is under way. After an eviction the next call continues. */
  catchUp(): void {
    if (this.#catchingUp || !this.#someoneIsBehind) return;
    this.#catchingUp = true;
    this.#ctx.waitUntil(this.#catchUpAll());
  }

  /** Closes every watcher: sockets with this code, streams without one. */
  closeAll(code: number, reason: string): void {
    for (const outlet of this.#outlets()) outlet.close(code, reason);
  }

  /** A message from a watcher. The first wrong one closes its socket, so a flood costs no more than one. */
  receive(socket: WebSocket, message: string | ArrayBuffer): void {
    // The runtime answers pings by itself; one that reaches the object is answered too.
    if (message === PING) socket.send(PONG);
    else if (typeof message !== "string") socket.close(1003, "this stream takes no binary messages");
    else if (message.length > MAX_MESSAGE_CHARS) socket.close(1009, "this stream takes the text ping and nothing else");
    else socket.close(1008, "this stream takes the text ping and nothing else");
  }

  closed(socket: WebSocket, code: number): void {
    answerClose(socket, code);
  }

  #outlets(): Outlet[] {
    return [...openSockets(this.#ctx), ...this.#streams.all];
  }

  get #someoneIsBehind(): boolean {
    return this.#outlets().some(({ cursor }) => cursor !== null);
  }

  async #catchUpAll(): Promise<void> {
    try {
      while (this.#someoneIsBehind) {
        await scheduler.wait(CATCH_UP_PAUSE_MS);
        for (const outlet of this.#outlets()) {
          this.#catchUpOnce(outlet);
          this.#closeIfOver(outlet);
        }
      }
    } finally {
      this.#catchingUp = false;
    }
  }

  /** Sends the next batch to a watcher that is behind, as far as it has room. */
  #catchUpOnce(outlet: Outlet): void {
    if (outlet.cursor === null) return;
    const missed = this.#source.itemsAfter(outlet.cursor, CATCH_UP_BATCH);
    const sent = this.#sendAll(outlet, missed);
    outlet.cursor = missed[sent - 1]?.number ?? outlet.cursor;
    if (sent < missed.length || missed.length === CATCH_UP_BATCH) return;
    const left = this.#left.get(outlet) ?? [...this.#source.itemsAtEnd(missed)];
    left.splice(0, this.#sendAll(outlet, left));
    if (left.length > 0) {
      this.#left.set(outlet, left);
      return;
    }
    this.#left.delete(outlet);
    outlet.cursor = null;
  }

  /** Sends items while the watcher has room; answers how many. */
  #sendAll(outlet: Outlet, items: readonly Item[]): number {
    for (const [index, item] of items.entries()) {
      if (!outlet.hasRoom) return index;
      const frame = this.#source.frame(item, outlet.audience);
      if (frame !== null && !this.#sendFrames(outlet, [frame])) return index;
    }
    return items.length;
  }

  #sendFrames(outlet: Outlet, frames: readonly Frame[]): boolean {
    const { linkEndsAtMs } = outlet.audience;
    if (linkEndsAtMs !== null && Date.now() >= linkEndsAtMs) {
      outlet.close(LINK_ENDED.code, LINK_ENDED.reason);
      return false;
    }
    return frames.every((frame) => outlet.send(frame));
  }

  /** Makes each frame once for all watchers who get the same links. */
  #framesByAudience(items: readonly Item[]): (audience: Audience) => readonly Frame[] {
    const made = new Map<string, readonly Frame[]>();
    return (audience) => {
      const key = `${audience.origin} ${audience.linkEndsAtMs}`;
      const known = made.get(key);
      if (known !== undefined) return known;
      const frames = items.flatMap((item) => this.#source.frame(item, audience) ?? []);
      made.set(key, frames);
      return frames;
    };
  }

  #closeIfOver(outlet: Outlet): void {
    const reason = outlet.cursor === null ? this.#source.isOver() : null;
    if (reason !== null) outlet.close(1000, reason);
  }
}
