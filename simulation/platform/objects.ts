import type { SQLInputValue } from "node:sqlite";
import { Actor, currentActor } from "../engine/actor.ts";
import type { Timer } from "../engine/clock.ts";
import { between, spread } from "../engine/random.ts";
import { ownRandom, type Sim } from "../engine/sim.ts";
import { bridgedResponse, responseSocket } from "./bodies.ts";
import { cloned } from "./clone.ts";
import { connectionLost, objectReset, overloaded, remoteError, storageGone } from "./errors.ts";
import type { ServerSocket } from "./sockets.ts";
import { SimStorage } from "./storage.ts";

/** Objects are known here by the names that the product uses. This begins the name of one that has an id of the platform. */
const UNIQUE = "job_";

function idOf(objectName: string): object {
  const uniqueId = /^job_([0-9a-f]{64})$/.exec(objectName)?.[1];
  const text = uniqueId ?? objectName;
  const id = { toString: () => text, equals: (other: object) => String(other) === text };
  return uniqueId === undefined ? { ...id, name: objectName } : id;
}

/** A class that the Worker exports. */
export type ObjectClass = new (context: object, env: object) => object;

/** An idle object with nothing open leaves memory after about this time. Its sockets stay. */
const HIBERNATES_AFTER_MS = 10_000;
/** The same for an object with only timers or calls pending. Sources disagree whether these keep it in memory, so here they do not. */
const EVICTED_AFTER_MS = { min: 70_000, max: 140_000 } as const;
/** How long one `waitUntil` keeps an object in memory. */
const WAIT_UNTIL_MS = 15 * 60_000;
/** A replaced instance's requests continue for at most this time. */
const REPLACED_MS = 30_000;
/** How often an alarm that throws is run again, after 2 s, 4 s, …; then it is dropped. */
const ALARM_RETRIES = 6;

/** What is deployed: code, and its settings and bindings. */
export interface Version {
  readonly classes: Readonly<Record<string, ObjectClass>>;
  readonly env: object;
}

/** Observes a run from outside. */
export interface ObjectWatch {
  /** A call's answer has reached its caller. */
  answered(from: Actor, kind: string, method: string, answer: unknown, tookMs: number): void;
  /** A method was carried out, in `ms` from its start to its result, without the time for which the result was held back. */
  carriedOut(object: HostedObject, method: string, args: readonly unknown[], answer: unknown, ms: number): void;
  /** What the call wrote is durable. `beganAtMs`: when it was delivered, by the object's clock. */
  kept(method: string, args: readonly unknown[], answer: unknown, beganAtMs: number): void;
  alarmRan(object: HostedObject): void;
}

/** A watch that throws ends the run with its error, instead of the call that it watches. */
function endingRun({ clock }: Sim, watch: ObjectWatch): ObjectWatch {
  const guarded = (work: () => void) => {
    try {
      work();
    } catch (error) {
      clock.after(0, () => {
        throw error;
      });
    }
  };
  return {
    answered: (...given) => guarded(() => watch.answered(...given)),
    carriedOut: (...given) => guarded(() => watch.carriedOut(...given)),
    kept: (...given) => guarded(() => watch.kept(...given)),
    alarmRan: (...given) => guarded(() => watch.alarmRan(...given)),
  };
}

/** One stay of an object in memory. */
export class Instance extends Actor {
  readonly object: HostedObject;
  impl: Record<string, unknown> | null = null;
  /** Another instance has replaced it: it continues, and its storage throws. */
  isReplaced = false;
  #locks = 0;
  readonly #queue: (() => void)[] = [];
  /** Open events: calls, an alarm, a stream that is being read. */
  events = 0;
  /** Promises given to `waitUntil` that are pending and younger than the platform's bound. */
  kept = 0;
  busyUntilMs = 0;

  constructor(object: HostedObject, name: string) {
    super(name, object.aheadMs);
    this.object = object;
  }

  /** The object may be reset between any two steps. The incoming event is lost with it. */
  override enter(work: () => void): void {
    if (!this.isAlive) return;
    if (this.#locks > 0) {
      this.#queue.push(work);
      return;
    }
    this.object.mayBeReset(this);
    if (!this.isAlive) return;
    this.object.touch(this);
    this.run(work);
  }

  override send(deliver: () => void): void {
    if (!this.isAlive) return;
    if (this.isReplaced) deliver();
    else this.object.storage.gate(() => this.isAlive && deliver());
  }

  /** No other event enters until `work` is done. */
  async locked<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#locks += 1;
    try {
      return await work();
    } finally {
      this.#locks -= 1;
      while (this.#locks === 0 && this.#queue.length > 0 && this.isAlive) {
        const next = this.#queue.shift();
        if (next !== undefined) this.run(next);
      }
    }
  }
}

/** An open event of an instance. */
interface OpenCall {
  /** Called when the instance ends before the event. */
  readonly fail: (error: Error) => void;
}

/** An object of the platform: its storage and sockets outlive each instance. */
export class HostedObject {
  readonly sim: Sim;
  readonly host: ObjectHost;
  readonly kind: string;
  readonly name: string;
  readonly storage: SimStorage;
  /** By how much the clock of its machine is ahead. Its alarms go by that clock. */
  readonly aheadMs: number;
  readonly sockets = new Set<ServerSocket>();
  autoResponse: { readonly request: string; readonly response: string } | null = null;
  instance: Instance | null = null;
  /** Set by a new deployment. An instance keeps the one that it started with. */
  version: Version;
  #instances = 0;
  readonly #calls = new Map<Instance, Set<OpenCall>>();
  #idleTimer: Timer | null = null;
  #alarmTimer: Timer | null = null;
  #isAlarmRunning = false;
  #alarmRetry: { readonly atMs: number; readonly retryCount: number } | null = null;
  #lastDurableAtMs = 0;
  /** Some data of it was durable at some time. */
  wasEverStored = false;

  constructor(host: ObjectHost, kind: string, name: string) {
    this.host = host;
    this.sim = host.sim;
    this.kind = kind;
    this.name = name;
    this.aheadMs = this.sim.aheadMs(`${kind} ${name}`);
    this.version = host.versionFor(this);
    this.storage = new SimStorage({
      flush: (durable) => this.#flush(durable),
      alarmChanged: () => this.#scheduleAlarm(),
    });
  }

  get label(): string {
    return `${this.kind} ${this.name}`;
  }

  /** The instance for the next event: a new one when there is none. Throws what its constructor throws. */
  #live(): Instance {
    if (this.instance !== null) return this.instance;
    this.#instances += 1;
    const instance = new Instance(this, `${this.label}/${this.#instances}`);
    this.instance = instance;
    this.#calls.set(instance, new Set());
    instance.run(() => {
      const { classes, env } = this.version;
      const made = classes[this.kind];
      if (made === undefined) throw new Error(`no class is bound to ${this.kind}`);
      instance.impl = new made(contextOf(instance), env) as Record<string, unknown>;
    });
    return instance;
  }

  /** Called before each step of an instance: the platform may reset it at any time. */
  mayBeReset(instance: Instance): void {
    if (this.instance !== instance) return;
    const strike = this.sim.strike("step", this.label);
    if (strike !== null) this.reset(strike.fault === "replaced", strike.fault);
  }

  /**
   * An event comes in: `work` runs in the object's instance once its input gate is open. `broke` is called when the instance
   * ends before `ended` was called.
   */
  #deliver(
    label: string,
    broke: (error: Error) => void,
    work: (instance: Instance, ended: () => boolean) => void,
  ): void {
    let instance: Instance;
    try {
      instance = this.#live();
    } catch (error) {
      this.instance?.end();
      this.instance = null;
      broke(remoteError(error));
      return;
    }
    this.sim.mark(label);
    const open = { fail: broke };
    const calls = this.#calls.get(instance);
    calls?.add(open);
    instance.events += 1;
    const ended = () => {
      if (calls?.delete(open) !== true) return false;
      instance.events -= 1;
      this.touch(instance);
      return true;
    };
    instance.enter(() => work(instance, ended));
  }

  /** One call of a method, on the object's side. */
  call(
    method: string,
    args: readonly unknown[],
    answer: (value: unknown, instance: Instance) => void,
    fail: (error: Error) => void,
  ): void {
    this.#deliver(`${this.label}.${method}`, fail, (instance, ended) => {
      const { impl } = instance;
      const target = impl?.[method];
      const beganAtMs = this.sim.nowMs;
      const result =
        typeof target === "function"
          ? (async () => (await target.apply(impl, args)) as unknown)()
          : Promise.reject(new TypeError(`The RPC receiver does not implement the method "${method}".`));
      result.then(
        (value) => {
          this.host.watch.carriedOut(this, method, args, value, this.sim.nowMs - beganAtMs);
          instance.send(() => {
            this.host.watch.kept(`${this.kind}.${method}`, args, value, beganAtMs + this.aheadMs);
            if (ended()) answer(value, instance);
          });
        },
        (error: unknown) => instance.send(() => ended() && fail(remoteError(error))),
      );
    });
  }

  /** An event without an answer: a socket's message or close. */
  notify(method: string, args: readonly unknown[]): void {
    this.call(
      method,
      args,
      () => undefined,
      () => undefined,
    );
  }

  /** Memory and all writes that are not durable are lost; sockets are closed; open calls fail. */
  reset(isReplaced: boolean, why: string): void {
    const { instance } = this;
    if (instance === null) return;
    this.sim.tell(() => `${this.sim.named(this.label)} is reset: ${why}`);
    this.instance = null;
    this.sim.clock.cancel(this.#idleTimer);
    this.#idleTimer = null;
    // Lost writes break the output gate. Nothing can leave the old instance any more, so it is treated as dead.
    const runsOn = isReplaced && this.storage.isDurable;
    this.storage.crash();
    const calls = this.#calls.get(instance) ?? new Set();
    this.#calls.delete(instance);
    for (const socket of [...this.sockets]) socket.breakOff();
    if (runsOn) {
      instance.isReplaced = true;
      this.sim.clock.after(REPLACED_MS, () => instance.end());
    } else instance.end();
    for (const open of [...calls]) {
      calls.delete(open);
      open.fail(objectReset());
    }
    // When a write of an alarm was rolled back, the durable alarm is in effect.
    this.#scheduleAlarm();
  }

  /** The object leaves memory, with no other effect. */
  #evict(instance: Instance): void {
    if (this.instance !== instance) return;
    this.sim.tell(() => `${this.sim.named(this.label)} leaves memory`);
    this.instance = null;
    this.#calls.delete(instance);
    instance.end();
  }

  /** Records activity. The object is checked again when it may have been idle long enough. */
  touch(instance: Instance): void {
    instance.busyUntilMs = this.sim.nowMs;
    if (this.instance !== instance || this.#idleTimer !== null) return;
    this.#idleTimer = this.sim.clock.after(HIBERNATES_AFTER_MS, () => this.#lookIdle(instance));
  }

  #lookIdle(instance: Instance): void {
    this.#idleTimer = null;
    if (this.instance !== instance) return;
    const { nowMs } = this.sim;
    const isHeld = instance.events > 0 || instance.kept > 0 || !this.storage.isDurable;
    const idleMs = nowMs - instance.busyUntilMs;
    const timers = this.host.pendingOf(instance);
    const afterMs =
      timers > 0
        ? this.sim.delayMs(`idle ${this.label}`, EVICTED_AFTER_MS.min, EVICTED_AFTER_MS.max)
        : HIBERNATES_AFTER_MS;
    if (!isHeld && idleMs >= afterMs) {
      this.#evict(instance);
      return;
    }
    // The work that keeps the object in memory reports its end.
    if (isHeld) return;
    this.#idleTimer = this.sim.clock.after(Math.max(1, afterMs - idleMs), () => this.#lookIdle(instance));
  }

  #flush(durable: () => void): void {
    const { sim } = this;
    const strike = sim.strike("write", this.label);
    const random = strike?.random;
    let delayMs = sim.delayMs(`write ${this.label}`, 1, 12);
    if (strike?.fault === "write slow" && random !== undefined) delayMs = spread(random, 200, 20_000);
    const atMs = Math.max(this.#lastDurableAtMs, sim.nowMs + delayMs);
    this.#lastDurableAtMs = atMs;
    const { instance } = this;
    sim.clock.after(atMs - sim.nowMs, () => {
      if (this.instance !== instance) return;
      if (strike?.fault === "write lost") {
        this.reset(false, strike.fault);
        return;
      }
      if (strike?.fault === "reset after write") {
        // Nothing that waited for the write may leave, because the instance that wrote has ended by then.
        instance?.end();
        durable();
        this.wasEverStored = true;
        this.reset(false, strike.fault);
        return;
      }
      durable();
      this.wasEverStored = true;
      if (this.instance !== null) this.touch(this.instance);
    });
  }

  #scheduleAlarm(): void {
    const { clock } = this.sim;
    clock.cancel(this.#alarmTimer);
    this.#alarmTimer = null;
    if (this.#isAlarmRunning) return;
    const setAtMs = this.storage.durableAlarmAtMs;
    // An alarm that is set again replaces a retry.
    if (setAtMs !== null) this.#alarmRetry = null;
    const dueAtMs = setAtMs === null ? (this.#alarmRetry?.atMs ?? null) : setAtMs - this.aheadMs;
    if (dueAtMs === null) return;
    const retryCount = this.#alarmRetry?.retryCount ?? 0;
    const strike = this.sim.strike("alarm", this.label);
    const lateMs =
      strike?.fault === "alarm late"
        ? spread(strike.random, 100, 60_000)
        : this.sim.delayMs(`alarm ${this.label}`, 1, 6);
    this.#alarmTimer = clock.after(Math.max(0, dueAtMs - this.sim.nowMs) + lateMs, () => {
      this.#alarmTimer = null;
      this.#runAlarm(retryCount, strike?.fault === "alarm twice", strike?.fault === "alarm lost host");
    });
  }

  get isAlarmArmed(): boolean {
    return this.#alarmTimer !== null || this.#isAlarmRunning;
  }

  get alarmDueAtMs(): number | null {
    return this.storage.durableAlarmAtMs ?? this.#alarmRetry?.atMs ?? null;
  }

  #runAlarm(retryCount: number, isRunTwice: boolean, losesHost: boolean): void {
    this.storage.takeAlarm();
    this.#alarmRetry = null;
    this.host.watch.alarmRan(this);
    this.sim.tell(() => `alarm of ${this.sim.named(this.label)}`);
    this.#isAlarmRunning = true;
    const over = (retry: { readonly atMs: number; readonly retryCount: number } | null) => {
      this.#isAlarmRunning = false;
      this.#alarmRetry = retry;
      this.#scheduleAlarm();
    };
    // When the object ends while its alarm runs, the platform runs the alarm again and does not count that.
    const broke = () => {
      const delayMs = between(this.sim.draws.next(`alarm again ${this.label}`), 500, 2_000);
      over({ atMs: this.sim.nowMs + delayMs, retryCount });
    };
    this.#deliver(`${this.label} alarm`, broke, (instance, ended) => {
      const handler = instance.impl?.alarm;
      const result =
        typeof handler === "function"
          ? (async () => await handler.call(instance.impl, { isRetry: retryCount > 0, retryCount }))()
          : Promise.resolve();
      if (losesHost) {
        this.sim.clock.after(0, () => {
          if (this.instance === instance) this.reset(false, "alarm lost host");
        });
      }
      result.then(
        () =>
          instance.send(() => {
            if (!ended()) return;
            over(isRunTwice ? { atMs: this.sim.nowMs + 1_000, retryCount: retryCount + 1 } : null);
          }),
        (error: unknown) => {
          this.sim.tell(() => `alarm of ${this.sim.named(this.label)} throws: ${String(error)}`);
          instance.send(() => {
            if (!ended()) return;
            const isDropped = retryCount >= ALARM_RETRIES;
            if (isDropped) this.sim.tell(() => `alarm of ${this.sim.named(this.label)} is dropped`);
            over(isDropped ? null : { atMs: this.sim.nowMs + 2_000 * 2 ** retryCount, retryCount: retryCount + 1 });
          });
        },
      );
    });
  }

  /** The object answered with a stream, which counts as an event until it ends. */
  holdStream(instance: Instance): () => void {
    instance.events += 1;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      instance.events -= 1;
      this.touch(instance);
    };
  }
}

/** All objects of a run. */
export class ObjectHost {
  readonly sim: Sim;
  readonly watch: ObjectWatch;
  readonly #objects = new Map<string, HostedObject>();
  /** How many timers and calls of an actor are pending. */
  readonly #pending = new WeakMap<Actor, number>();
  readonly versionFor: (object: HostedObject) => Version;

  constructor(sim: Sim, versionFor: (object: HostedObject) => Version, watch: ObjectWatch) {
    this.sim = sim;
    this.versionFor = versionFor;
    this.watch = endingRun(sim, watch);
  }

  object(kind: string, name: string): HostedObject {
    const key = `${kind} ${name}`;
    const known = this.#objects.get(key);
    if (known !== undefined) return known;
    const made = new HostedObject(this, kind, name);
    this.#objects.set(key, made);
    return made;
  }

  all(kind?: string): HostedObject[] {
    const objects = [...this.#objects.values()];
    return kind === undefined ? objects : objects.filter((object) => object.kind === kind);
  }

  pendingOf(actor: Actor): number {
    return this.#pending.get(actor) ?? 0;
  }

  /** Counts something that `actor` waits for. The returned function ends it. */
  pending(actor: Actor): () => void {
    this.#pending.set(actor, this.pendingOf(actor) + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#pending.set(actor, this.pendingOf(actor) - 1);
    };
  }

  close(): void {
    for (const object of this.#objects.values()) {
      object.instance?.end();
      object.storage.close();
    }
  }

  /** A binding that gives stubs by name. Each call is made by the actor that runs at that moment. */
  namespace(kind: string): object {
    const stubOf = (name: string) =>
      new Proxy(
        {},
        {
          get: (_target, method) => {
            // Without `then`, so that a stub is no promise.
            if (typeof method !== "string" || method === "then") return undefined;
            if (method === "name") return name;
            if (method === "fetch") return (request: Request) => this.#fetch(kind, name, request);
            return (...args: unknown[]) => this.#call(kind, name, method, args);
          },
        },
      );
    return {
      getByName: stubOf,
      newUniqueId: () => {
        const random = ownRandom(this.sim, currentActor());
        const text = Array.from({ length: 64 }, () => between(random, 0, 15).toString(16)).join("");
        return { toString: () => text };
      },
      idFromString: (text: string) => ({ toString: () => text }),
      get: (id: object) => stubOf(`${UNIQUE}${id}`),
    };
  }

  #call(kind: string, name: string, method: string, given: readonly unknown[]): Promise<unknown> {
    const args = cloned(given);
    return this.#round(kind, name, method, args, (value) => cloned(value));
  }

  async #fetch(kind: string, name: string, request: Request): Promise<Response> {
    const from = currentActor();
    const object = this.object(kind, name);
    const answer = (await this.#round(kind, name, "fetch", [request], (value) => value)) as {
      readonly response: Response;
      readonly instance: Instance;
    };
    const { response, instance } = answer;
    if (from === null || responseSocket(response) !== null || response.body === null) return response;
    return bridgedResponse(this.sim, response, instance, from, object.holdStream(instance));
  }

  #round(
    kind: string,
    name: string,
    method: string,
    args: readonly unknown[],
    taken: (value: unknown) => unknown,
  ): Promise<unknown> {
    const { sim } = this;
    const from = currentActor();
    if (from === null) throw new Error("objects are called by actors only");
    const object = this.object(kind, name);
    const label = `${kind}.${method} ${name}`;
    const ended = this.pending(from);
    const calledAtMs = sim.nowMs;
    return new Promise<unknown>((resolve, reject) => {
      const settle = (work: () => void) => {
        ended();
        from.enter(work);
      };
      const answered = (value: unknown, instance: Instance) => {
        let copy: unknown;
        try {
          copy = method === "fetch" ? { response: value, instance } : taken(value);
        } catch (error) {
          failed(remoteError(error));
          return;
        }
        sim.clock.after(sim.delayMs(`back ${label}`, 1, 15), () =>
          settle(() => {
            this.watch.answered(from, kind, method, value, sim.nowMs - calledAtMs);
            resolve(copy);
          }),
        );
      };
      const failed = (error: Error) => {
        sim.clock.after(sim.delayMs(`back ${label}`, 1, 15), () => settle(() => reject(error)));
      };
      from.send(() => {
        const strike = sim.strike("call", label);
        const kindOf = strike?.fault;
        let wayMs = sim.delayMs(`to ${label}`, 1, 15);
        if (strike?.fault === "call slow") wayMs = spread(strike.random, 500, 25_000);
        if (kindOf === "call hangs before") return;
        if (kindOf === "call lost before" || sim.away.has(kind)) {
          failed(connectionLost());
          return;
        }
        if (kindOf === "call overloaded") {
          failed(overloaded());
          return;
        }
        sim.clock.after(wayMs, () => {
          sim.tell(() => `${sim.named(from.name)} calls ${sim.named(label)}`);
          let isAnswered = false;
          const once = (work: () => void) => {
            if (isAnswered) return;
            isAnswered = true;
            if (kindOf === "call hangs after") return;
            if (kindOf === "call lost after") failed(connectionLost());
            else work();
          };
          object.call(
            method,
            args,
            (value, instance) => once(() => answered(value, instance)),
            (error) => once(() => failed(error)),
          );
        });
      });
    });
  }
}

/** The used part of `DurableObjectState`. */
function contextOf(instance: Instance): object {
  const { object } = instance;
  const { sim, storage } = object;
  const checked = <Args extends unknown[], Result>(work: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      if (instance.isReplaced || !instance.isAlive) throw storageGone();
      return work(...args);
    };
  };
  /** An asynchronous answer of storage. No other event enters meanwhile. */
  const locked = <Args extends unknown[], Result>(work: (...args: Args) => Result) => {
    const doChecked = checked(work);
    return (...args: Args): Promise<Result> => instance.locked(async () => doChecked(...args));
  };
  return {
    id: idOf(object.name),
    storage: {
      kv: {
        get: checked(storage.kv.get),
        put: checked(storage.kv.put),
        delete: checked(storage.kv.delete),
        list: checked(storage.kv.list),
      },
      sql: {
        exec: checked((query: string, ...binds: SQLInputValue[]) => storage.sql.exec(query, ...binds)),
        databaseSize: 0,
      },
      transactionSync: checked(<Result>(work: () => Result) => storage.transactionSync(work)),
      getAlarm: locked(() => storage.alarmAtMs),
      setAlarm: locked((at: number | Date) => storage.setAlarm(Number(at))),
      deleteAlarm: locked(() => storage.setAlarm(null)),
      deleteAll: locked(() => storage.deleteAll()),
      sync: locked(() => undefined),
    },
    waitUntil: (work: Promise<unknown>) => {
      instance.kept += 1;
      let isCounted = true;
      const done = () => {
        if (!isCounted) return;
        isCounted = false;
        instance.kept -= 1;
        object.touch(instance);
      };
      const bound = sim.clock.after(WAIT_UNTIL_MS, done);
      Promise.resolve(work).then(
        () => {
          sim.clock.cancel(bound);
          done();
        },
        (error: unknown) => {
          sim.clock.cancel(bound);
          sim.tell(() => `${sim.named(object.label)}: a waitUntil fails: ${String(error)}`);
          done();
        },
      );
    },
    blockConcurrencyWhile: <Result>(work: () => Promise<Result>) =>
      instance.locked(work).catch((error: unknown) => {
        object.reset(false, `blockConcurrencyWhile throws ${String(error)}`);
        throw error;
      }),
    acceptWebSocket: (socket: ServerSocket, tags: readonly string[] = []) => socket.accept(object, tags),
    getWebSockets: (tag?: string) =>
      [...object.sockets].filter((socket) => tag === undefined || socket.tags.includes(tag)),
    getTags: (socket: ServerSocket) => socket.tags,
    setWebSocketAutoResponse: (pair: { readonly request: string; readonly response: string }) => {
      object.autoResponse = pair;
    },
    abort: (reason?: string) => object.reset(false, `abort: ${reason ?? ""}`),
  };
}
