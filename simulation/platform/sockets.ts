import { type Actor, currentActor } from "../engine/actor.ts";
import { spread } from "../engine/random.ts";
import type { Sim } from "../engine/sim.ts";
import { currentSim } from "../engine/sim.ts";
import { cloned } from "./clone.ts";
import type { HostedObject } from "./objects.ts";

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
const MAX_ATTACHMENT_BYTES = 16_384;
/** The code of a connection that ended without a close (RFC 6455, 7.1.5). */
const NO_CLOSE = 1006;

/** The client's side of a connection. */
interface ClientSide {
  readonly actor: Actor;
  message(text: string): void;
  closed(code: number): void;
}

/** One connection: both ends and the messages between them, in order. */
export class SocketLink {
  readonly sim: Sim;
  readonly server: ServerSocket;
  client: ClientSide | null = null;
  isCut = false;
  #downAtMs = 0;
  #upAtMs = 0;
  #early: ((client: ClientSide) => void)[] = [];

  constructor(sim: Sim) {
    this.sim = sim;
    this.server = new ServerSocket(this);
  }

  /** The client has received the upgrade's answer. Messages that were sent meanwhile are delivered now. */
  attach(client: ClientSide): void {
    this.client = client;
    const early = this.#early;
    this.#early = [];
    for (const each of early) this.#down(each);
  }

  #label(): string {
    return `socket ${this.server.object?.name ?? ""}`;
  }

  toClient(what: (client: ClientSide) => void): void {
    if (this.isCut) return;
    if (this.client === null) this.#early.push(what);
    else this.#down(what);
  }

  #down(what: (client: ClientSide) => void): void {
    const { clock } = this.sim;
    const strike = this.sim.strike("socket", this.#label());
    if (strike?.fault === "socket drops") this.drop(true);
    if (strike?.fault === "socket half open") this.drop(spread(strike.random, 1, 4) > 2);
    if (this.isCut) return;
    this.#downAtMs = Math.max(this.#downAtMs, clock.nowMs + this.sim.delayMs(this.#label(), 2, 60));
    clock.after(this.#downAtMs - clock.nowMs, () => {
      const { client } = this;
      if (client !== null) client.actor.enter(() => what(client));
    });
  }

  toServer(what: (server: ServerSocket) => void): void {
    if (this.isCut) return;
    const { clock } = this.sim;
    this.#upAtMs = Math.max(this.#upAtMs, clock.nowMs + this.sim.delayMs(this.#label(), 2, 60));
    clock.after(this.#upAtMs - clock.nowMs, () => what(this.server));
  }

  /** The connection breaks. When half open, the server notices it minutes later, and the client when it pings. */
  drop(isServerTold: boolean): void {
    if (this.isCut) return;
    this.isCut = true;
    const { sim, client, server } = this;
    sim.tell(
      () => `the socket of ${client?.actor.name ?? "a client"} on ${sim.named(server.object?.label ?? "")} breaks`,
    );
    sim.clock.after(isServerTold ? 20 : 120_000, () => server.peerClosed(NO_CLOSE));
    if (isServerTold && client !== null) sim.clock.after(30, () => client.actor.enter(() => client.closed(NO_CLOSE)));
  }
}

/** The object's end, which is the second one of `WebSocketPair`. */
export class ServerSocket {
  readonly link: SocketLink;
  object: HostedObject | null = null;
  tags: readonly string[] = [];
  readyState = CONNECTING;
  #attachment: unknown = null;

  constructor(link: SocketLink) {
    this.link = link;
  }

  accept(object: HostedObject, tags: readonly string[]): void {
    this.object = object;
    this.tags = tags;
    this.readyState = OPEN;
    object.sockets.add(this);
  }

  send(text: string): void {
    if (this.readyState !== OPEN) throw new TypeError("Can't call WebSocket send() after close().");
    this.#out(() => this.link.toClient((client) => client.message(text)));
  }

  close(code = 1000, reason = ""): void {
    if (reason.length > 123) throw new SyntaxError("a close reason may have 123 bytes");
    if (code !== 1000 && (code < 1000 || code > 4999 || [1004, 1005, 1006, 1015].includes(code))) {
      throw new TypeError(`Invalid WebSocket close code: ${code}.`);
    }
    if (this.readyState === CLOSED) return;
    const isAnswer = this.readyState === CLOSING;
    this.readyState = CLOSING;
    this.#out(() => this.link.toClient((client) => client.closed(code)));
    if (isAnswer) this.#gone();
  }

  serializeAttachment(value: unknown): void {
    const copy = cloned(value);
    if (JSON.stringify(copy).length > MAX_ATTACHMENT_BYTES) throw new RangeError("an attachment may have 16384 bytes");
    this.#attachment = copy;
  }

  deserializeAttachment(): unknown {
    return cloned(this.#attachment);
  }

  /** The client's close has arrived, or its end without one. */
  peerClosed(code: number): void {
    const { object } = this;
    if (this.readyState === CLOSED || object === null) return;
    const wasClosing = this.readyState === CLOSING;
    this.readyState = CLOSING;
    if (wasClosing) {
      this.#gone();
      return;
    }
    object.notify("webSocketClose", [this, code, "", code !== NO_CLOSE]);
    if (code === NO_CLOSE) this.#gone();
  }

  received(text: string): void {
    const { object } = this;
    if (this.readyState !== OPEN || object === null) return;
    if (object.autoResponse?.request === text) {
      const { response } = object.autoResponse;
      this.link.toClient((client) => client.message(response));
      return;
    }
    object.notify("webSocketMessage", [this, text]);
  }

  /** The object was reset, so its sockets end without a close. */
  breakOff(): void {
    this.#gone();
    const { link } = this;
    if (link.isCut) return;
    link.isCut = true;
    const { client } = link;
    if (client !== null) link.sim.clock.after(20, () => client.actor.enter(() => client.closed(NO_CLOSE)));
  }

  #gone(): void {
    this.readyState = CLOSED;
    this.object?.sockets.delete(this);
  }

  #out(deliver: () => void): void {
    const actor = currentActor();
    if (actor === null) deliver();
    else actor.send(deliver);
  }
}

/** The client's end as the Worker returns it. It only leads to the connection. */
export class ClientEnd {
  readonly link: SocketLink;

  constructor(link: SocketLink) {
    this.link = link;
  }
}

/** `WebSocketPair`. */
export class SimSocketPair {
  readonly 0: ClientEnd;
  readonly 1: ServerSocket;

  constructor() {
    const link = new SocketLink(currentSim());
    this[0] = new ClientEnd(link);
    this[1] = link.server;
  }
}

export class SimAutoResponse {
  readonly request: string;
  readonly response: string;

  constructor(request: string, response: string) {
    this.request = request;
    this.response = response;
  }
}

type Listener = (event: { readonly data?: unknown; readonly code?: number }) => void;

/** Opens a client's socket: an upgrade through the Worker. */
export type Upgrade = (url: string) => Promise<ClientEnd>;

/** A `WebSocket` of a client, for the client library's `WebSocket` option. */
export function socketClass(upgrade: Upgrade): new (url: string) => object {
  return class ClientSocket {
    readyState = CONNECTING;
    readonly #listeners = new Map<string, Listener[]>();
    #link: SocketLink | null = null;
    readonly #actor: Actor;

    constructor(url: string) {
      const actor = currentActor();
      if (actor === null) throw new Error("sockets are opened by actors");
      this.#actor = actor;
      upgrade(url.replace(/^ws/, "http")).then(
        ({ link }) => {
          if (this.readyState !== CONNECTING) {
            link.toServer((server) => server.peerClosed(NO_CLOSE));
            return;
          }
          this.#link = link;
          this.readyState = OPEN;
          this.#fire("open", {});
          link.attach({
            actor,
            message: (data) => this.#fire("message", { data }),
            closed: (code) => this.#closed(code),
          });
        },
        () => {
          this.#fire("error", {});
          this.#closed(NO_CLOSE);
        },
      );
    }

    addEventListener(type: string, listener: Listener): void {
      this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
    }

    send(text: string): void {
      if (this.readyState === OPEN) this.#link?.toServer((server) => server.received(text));
    }

    close(code = 1000): void {
      if (this.readyState >= CLOSING) return;
      this.readyState = CLOSING;
      const link = this.#link;
      if (link === null) return;
      link.toServer((server) => server.peerClosed(code));
      link.sim.clock.after(5_000, () => this.#actor.enter(() => this.#closed(NO_CLOSE)));
    }

    #closed(code: number): void {
      if (this.readyState === CLOSED) return;
      const isAnswered = this.readyState === CLOSING;
      this.readyState = CLOSED;
      if (!isAnswered && code !== NO_CLOSE) this.#link?.toServer((server) => server.peerClosed(code));
      this.#fire("close", { code });
    }

    #fire(type: string, event: { readonly data?: unknown; readonly code?: number }): void {
      for (const listener of this.#listeners.get(type) ?? []) listener(event);
    }
  };
}
