import type { Actor } from "./actor.ts";
import { Clock } from "./clock.ts";
import { FaultSource, type Hit, type Site, type Strike } from "./faults.ts";
import { Draws, hashText, spread } from "./random.ts";

/** One line of a run's story. */
export interface Line {
  readonly atMs: number;
  readonly text: string;
}

export interface Violation {
  readonly invariant: string;
  readonly detail: string;
  readonly atMs: number;
}

export interface SimOptions {
  readonly seed: number;
  readonly startMs: number;
  /** What is left of a run that is being shrunk; null for all of it. */
  readonly part?: Part | null;
  /** Whether the story is written, which costs time. */
  readonly isTold?: boolean;
}

/** A part of a run: it tries less than its seed would. */
export interface Part {
  /** Jobs, followers, acts, feeds, lists and deployments that are left out, by name. */
  readonly leftOut: ReadonlySet<string>;
  /** The occasions at which a fault may strike. */
  readonly strikesAt: ReadonlySet<string>;
  /** Every delay has its minimum. */
  readonly isPrompt: boolean;
}

/** The shared state of one run: time, draws, faults, the story, and the violations. */
export class Sim {
  readonly seed: number;
  readonly clock: Clock;
  readonly draws: Draws;
  readonly faults: FaultSource;
  readonly part: Part | null;
  readonly lines: Line[] = [];
  readonly violations: Violation[] = [];
  readonly isTold: boolean;
  readonly startMs: number;
  readonly #names = new Map<string, string>();
  #digest = 0;

  constructor(options: SimOptions) {
    this.seed = options.seed;
    this.startMs = options.startMs;
    this.clock = new Clock(options.startMs);
    this.draws = new Draws(options.seed);
    this.part = options.part ?? null;
    this.isTold = options.isTold ?? false;
    this.faults = new FaultSource(this.draws, this.part?.strikesAt ?? null, (hit) => this.#noteHit(hit));
  }

  get nowMs(): number {
    return this.clock.nowMs;
  }

  /** A delay in ms, drawn by its label. Most are near `min`. */
  delayMs(label: string, min: number, max: number): number {
    return this.part?.isPrompt === true ? min : spread(this.draws.next(label), min, max);
  }

  /** Parts of the platform that are down as a whole: calls to them fail at once. */
  readonly away = new Set<string>();

  /** The clocks of two machines differ by less than this, in ms. */
  clocksDifferMs = 0;

  /** By how much the clock of this machine is ahead, in ms; behind when negative. */
  aheadMs(machine: string): number {
    const { clocksDifferMs: ms } = this;
    return ms === 0 ? 0 : Math.floor((this.draws.next(`clock of ${machine}`)() - 0.5) * ms);
  }

  strike(site: Site, label: string): Strike | null {
    return this.faults.strike(site, label);
  }

  /** Writes a line of the story. `text` is only called when the story is written. */
  tell(text: () => string): void {
    if (this.isTold) this.lines.push({ atMs: this.clock.nowMs, text: text() });
  }

  /** Adds to the digest of the run. Two runs with the same digest took the same course. */
  mark(text: string): void {
    this.#digest = hashText(`${text} ${this.clock.nowMs}`, this.#digest);
  }

  get digest(): string {
    return this.#digest.toString(16).padStart(8, "0");
  }

  violate(invariant: string, detail: string): void {
    this.violations.push({ invariant, detail, atMs: this.clock.nowMs });
    this.tell(() => `VIOLATION of "${invariant}": ${detail}`);
  }

  /** A short name for an id, the same throughout the run, such as `job A`. */
  short(id: string): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const index = this.#names.size;
    const name = `${String.fromCharCode(65 + (index % 26))}${index < 26 ? "" : Math.floor(index / 26)}`;
    this.#names.set(id, name);
    return name;
  }

  #noteHit({ at, fault }: Hit): void {
    this.mark(at);
    this.tell(() => `FAULT ${fault} (${this.named(at)})`);
  }

  /** The text with ids replaced by their short names. */
  named(text: string): string {
    return text.replace(/job_[A-Za-z0-9_-]{21,64}/g, (id) => `job ${this.short(id)}`);
  }
}

let current: Sim | null = null;

/** The current run. There is one at a time in a process, because it owns the runtime's globals. */
export function currentSim(): Sim {
  if (current === null) throw new Error("no simulation is running");
  return current;
}

export function setCurrentSim(sim: Sim | null): void {
  current = sim;
}

export function isSimulating(): boolean {
  return current !== null;
}

/** An actor's own random numbers, which `Math.random` and `crypto` return. */
export function ownRandom(sim: Sim, actor: Actor | null): () => number {
  return sim.draws.next(`own ${actor?.nextDraw() ?? "nobody"}`);
}
