import { Actor, currentActor } from "../engine/actor.ts";
import { pick, spread } from "../engine/random.ts";
import type { Sim } from "../engine/sim.ts";
import { bridgedResponse, responseSocket, SimResponse } from "./bodies.ts";
import { connectionLost } from "./errors.ts";
import { forgetIsolate } from "./hooks.ts";
import type { ClientEnd } from "./sockets.ts";

/** The exports of a Worker's module. */
export interface WorkerModule {
  readonly default: { fetch(request: Request, env: object, context: object): Promise<Response> };
}

/** How long `waitUntil` work may continue after the request was answered or its client hung up. */
const AFTER_ANSWER_MS = 30_000;

/** One request in the Worker. */
class RequestActor extends Actor {
  pending = 0;
  readonly abort = new AbortController();
}

interface Isolate {
  readonly name: string;
  readonly aheadMs: number;
  /** Set by a new deployment, which kills the isolate. */
  module: WorkerModule;
  env: object;
  readonly requests: Set<RequestActor>;
}

/** The stateless Worker: its requests are spread over isolates, which die at times. */
export class WorkerHost {
  readonly #sim: Sim;
  readonly isolates: readonly Isolate[];
  /** Sources disagree whether a Worker may hold a request for longer than this; null: no limit. */
  readonly #wallMs: number | null;
  #requests = 0;
  onAnswer: (from: Actor, request: Request, status: number) => void = () => undefined;

  constructor(sim: Sim, modules: ReadonlyMap<string, WorkerModule>, env: object, wallMs: number | null) {
    this.#sim = sim;
    this.#wallMs = wallMs;
    this.isolates = Array.from(modules, ([name, module]) => {
      return { name, aheadMs: sim.aheadMs(`isolate ${name}`), module, env, requests: new Set<RequestActor>() };
    });
    for (const { name } of this.isolates) forgetIsolate(name);
  }

  /** An isolate ends, and its requests and memory with it. */
  kill(isolate: Isolate): void {
    this.#sim.tell(() => `the Worker's isolate ${isolate.name} dies with ${isolate.requests.size} requests`);
    for (const request of [...isolate.requests]) request.end();
    isolate.requests.clear();
    forgetIsolate(isolate.name);
  }

  /** A deployment reaches an isolate. */
  change(isolate: Isolate, modules: ReadonlyMap<string, WorkerModule>, env: object): void {
    this.kill(isolate);
    isolate.module = modules.get(isolate.name) ?? isolate.module;
    isolate.env = env;
  }

  /**
   * A client's request over the network. Rejects as `fetch` does when the connection fails; aborting the signal before the
   * answer hangs up, and after it has no effect: a streamed answer continues.
   */
  fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const sim = this.#sim;
    const client = currentActor();
    if (client === null) throw new Error("requests are made by actors");
    const signal = init.signal ?? null;
    const { pathname } = new URL(url);
    const label = `${client.name}: ${init.method ?? "GET"} ${pathname}`;
    const strike = sim.strike("network", label);
    const fault = strike?.fault;
    return new Promise<Response>((resolve, reject) => {
      let isOver = false;
      let hangUp: () => void = () => undefined;
      const settle = (work: () => void) => {
        if (isOver) return;
        isOver = true;
        signal?.removeEventListener("abort", onAbort);
        client.enter(work);
      };
      const onAbort = () => {
        hangUp();
        settle(() => reject(signal?.reason));
      };
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      signal?.addEventListener("abort", onAbort);
      const fail = () => settle(() => reject(new TypeError("fetch failed", { cause: connectionLost() })));
      const slowMs = strike?.fault === "network slow" ? spread(strike.random, 300, 15_000) : 0;
      const wayMs = sim.delayMs(`way ${label}`, 2, 80) + slowMs;
      if (fault === "network lost before") {
        sim.clock.after(wayMs, fail);
        return;
      }
      sim.clock.after(wayMs, () => {
        if (isOver) return;
        hangUp = this.#run(
          url,
          init,
          client,
          (response) => {
            const backMs = sim.delayMs(`back ${label}`, 2, 80);
            if (fault === "network hangs") return;
            if (fault === "network lost after") sim.clock.after(backMs, fail);
            else sim.clock.after(backMs, () => settle(() => resolve(response)));
          },
          () => sim.clock.after(10, fail),
        );
      });
    });
  }

  /** Runs a request. The returned function hangs up on it. */
  #run(
    url: string,
    init: RequestInit,
    client: Actor,
    answered: (response: Response) => void,
    died: () => void,
  ): () => void {
    const sim = this.#sim;
    const isolate = pick(sim.draws.next("isolate"), this.isolates);
    this.#requests += 1;
    const actor = new RequestActor(`request ${this.#requests}`, isolate.aheadMs);
    isolate.requests.add(actor);
    const { pathname } = new URL(url);
    sim.mark(pathname);
    sim.tell(() => `${actor.name}: ${init.method ?? "GET"} ${sim.named(pathname)} of ${client.name}`);
    let isAnswered = false;
    actor.onEnd(() => {
      isolate.requests.delete(actor);
      if (!isAnswered) died();
    });
    const finish = () => {
      if (actor.pending === 0) actor.end();
      else sim.clock.after(AFTER_ANSWER_MS, () => actor.end());
    };
    let isLeft = false;
    const context = {
      waitUntil: (work: Promise<unknown>) => {
        actor.pending += 1;
        const done = () => {
          actor.pending -= 1;
          if (actor.pending === 0 && isLeft) actor.end();
        };
        Promise.resolve(work).then(done, done);
      },
      passThroughOnException: () => undefined,
      props: {},
    };
    if (this.#wallMs !== null) {
      sim.clock.after(this.#wallMs, () => {
        if (!isAnswered) actor.end();
      });
    }
    const strike = sim.strike("worker", "isolate");
    if (strike !== null) sim.clock.after(spread(strike.random, 1, 2_000), () => this.kill(isolate));
    const request = new Request(url, { ...init, signal: actor.abort.signal });
    actor.run(() => {
      isolate.module.default.fetch(request, isolate.env, context).then(
        async (response) => {
          const whole = await this.#whole(response, actor, client, () => {
            isLeft = true;
            finish();
          });
          if (!actor.isAlive) return;
          isAnswered = true;
          sim.tell(() => `${actor.name} answers ${response.status}`);
          this.onAnswer(actor, request, response.status);
          answered(whole);
          if (responseSocket(response) !== null || !isStream(response)) {
            isLeft = true;
            finish();
          }
        },
        (error: unknown) => {
          sim.violate("the Worker throws nothing", String(error instanceof Error ? error.stack : error));
          actor.end();
        },
      );
    });
    return () => {
      if (isAnswered) return;
      sim.tell(() => `${client.name} hangs up on ${actor.name}`);
      isLeft = true;
      isAnswered = true;
      actor.enter(() => actor.abort.abort(new DOMException("The client has disconnected", "AbortError")));
      finish();
    };
  }

  /** A stream is passed on in pieces, any other body as a whole. */
  async #whole(response: Response, actor: Actor, client: Actor, onStreamEnd: () => void): Promise<Response> {
    if (responseSocket(response) !== null) return response;
    if (isStream(response)) return bridgedResponse(this.#sim, response, actor, client, onStreamEnd);
    if (response.body === null) return response;
    const { status, headers } = response;
    return new SimResponse(await response.arrayBuffer(), { status, headers });
  }

  /** An upgrade. Rejects when it is refused or the connection fails. */
  async upgrade(url: string): Promise<ClientEnd> {
    const headers = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-version": "13" };
    const response = await this.fetch(url, { headers });
    const socket = responseSocket(response);
    if (socket === null) throw new TypeError(`the upgrade is answered ${response.status}`);
    return socket;
  }
}

function isStream(response: Response): boolean {
  return response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
}
