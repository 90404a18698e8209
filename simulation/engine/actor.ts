import { AsyncLocalStorage } from "node:async_hooks";

/** Something that runs code and can die: an object's instance, a request in the Worker, or a client. */
export class Actor {
  readonly name: string;
  /** By how much the clock of its machine is ahead of true time, in ms; behind when negative. */
  readonly aheadMs: number;
  isAlive = true;
  readonly #onEnd = new Set<() => void>();
  #draws = 0;

  constructor(name: string, aheadMs = 0) {
    this.name = name;
    this.aheadMs = aheadMs;
  }

  /** Runs `work` as this actor: timers, calls and random numbers in it belong to this actor. */
  run<Result>(work: () => Result): Result {
    return running.run(this, work);
  }

  /** Runs `work` as this actor for an event from outside. Does nothing once the actor is dead. */
  enter(work: () => void): void {
    if (this.isAlive) running.run(this, work);
  }

  /** Sends something out. An object's instance holds it back until its earlier writes are durable. */
  send(deliver: () => void): void {
    if (this.isAlive) deliver();
  }

  /** `work` is called once, when the actor dies. */
  onEnd(work: () => void): () => void {
    this.#onEnd.add(work);
    return () => this.#onEnd.delete(work);
  }

  end(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const work of [...this.#onEnd]) work();
    this.#onEnd.clear();
  }

  /** The label of this actor's next own random number. */
  nextDraw(): string {
    this.#draws += 1;
    return `${this.name}/${this.#draws}`;
  }
}

const running = new AsyncLocalStorage<Actor>();

/** The actor that runs now; null for the simulation itself. */
export function currentActor(): Actor | null {
  return running.getStore() ?? null;
}
