import type { LeaseOutcome } from "../contract.ts";
import { type Random, untilNext } from "./random.ts";
import type { Scenario } from "./scenario.ts";

const HOUR_MS = 3_600_000;
/** One attempt in fifty gets no answer within its budget of 45 s. */
const SILENT_SHARE = 0.02;
const BUDGET_MS = 45_000;

/** A strict upstream: a sliding window that counts what others use too, refuses what is over, breaks and blocks as told. */
export class UpstreamModel {
  readonly #scenario: Scenario;
  readonly #random: Random;
  readonly #startMs: number;
  /** Calls that count: the last `starts` of them. */
  readonly #taken: number[] = [];
  #othersAtMs: number;
  throttled = 0;

  constructor(scenario: Scenario, random: Random, startMs: number) {
    this.#scenario = scenario;
    this.#random = random;
    this.#startMs = startMs;
    this.#othersAtMs = startMs;
  }

  call(now: number): { readonly outcome: LeaseOutcome; readonly afterMs: number } {
    const hour = (now - this.#startMs) / HOUR_MS;
    this.#callsOfOthers(now);
    if (this.#scenario.isRefused?.(hour)) {
      const outcome = { kind: "blocked", code: "Arrearage", hint: "Pay the bill." } as const;
      return { outcome, afterMs: 60 };
    }
    if (!this.#take(now)) {
      this.throttled += 1;
      return { outcome: { kind: "throttled", retryAfterMs: null }, afterMs: 60 };
    }
    if (this.#scenario.isDown?.(hour)) {
      return { outcome: { kind: "failed", fault: "upstream", durationMs: 300 }, afterMs: 300 };
    }
    if (this.#random() < SILENT_SHARE) {
      return { outcome: { kind: "failed", fault: "none", durationMs: BUDGET_MS }, afterMs: BUDGET_MS };
    }
    // 10 to 45 s with a middle of 21 s.
    const durationMs = Math.round(10_000 * 4.5 ** this.#random());
    return { outcome: { kind: "succeeded", durationMs }, afterMs: durationMs };
  }

  #take(now: number): boolean {
    const { starts, periodMs } = this.#scenario.quota;
    const before = this.#taken.at(-starts);
    if (before !== undefined && now - before < periodMs) return false;
    this.#taken.push(now);
    if (this.#taken.length > 4 * starts) this.#taken.splice(0, 2 * starts);
    return true;
  }

  /** What others called since, each taking its part of the window. */
  #callsOfOthers(now: number): void {
    const { quota, usedByOthers } = this.#scenario;
    if (usedByOthers === undefined) return;
    for (;;) {
      const share = usedByOthers((this.#othersAtMs - this.#startMs) / HOUR_MS);
      const waitMs = share > 0 ? untilNext(this.#random, (share * quota.starts) / quota.periodMs) : 60_000;
      if (this.#othersAtMs + waitMs > now) return;
      this.#othersAtMs += waitMs;
      if (share > 0) this.#take(this.#othersAtMs);
    }
  }
}
