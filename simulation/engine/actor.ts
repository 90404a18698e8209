import { AsyncLocalStorage } from "node:async_hooks";

/** Runs code and can die: an object's instance, a request in the Worker, or a client. */
export class Actor {
  readonly name: string;
  isAlive = true;
  readonly #onEnd = new Set<() => void>();
  #draws = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Runs `work` as this actor: its timers, calls and random numbers are this actor's from there on. */
  run<Result>(work: () => Result): Result {
    return running.run(this, work);
  }

  /** Runs work for an event from outside as this actor. Does nothing once the actor is dead. */
  enter(work: () => void): void {
    if (this.isAlive) running.run(this, work);
  }

  /** Sends something to the outside. An object's instance holds it back until what it wrote before is durable. */
  send(deliver: () => void): void {
    if (this.isAlive) deliver();
  }

  /** Called once, when it dies. */
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

/** Who runs now; null for the simulation itself. */
export function currentActor(): Actor | null {
  return running.getStore() ?? null;
}
