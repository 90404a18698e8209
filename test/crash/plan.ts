import type { FaultRuleInput } from "../../emulator/core/fault.ts";
import { between, pick, type Random, seededRandom } from "../../emulator/core/random.ts";

/** The kinds of jobs. `edit` has an uploaded image; `task` and `tasks` use models with an asynchronous API. */
export const KINDS = ["text", "edit", "task", "tasks"] as const;
export type Kind = (typeof KINDS)[number];

/** What is done to a job after its submission. */
export const DEEDS = ["none", "cancel", "cancel and retry", "delete"] as const;
export type Deed = (typeof DEEDS)[number];

export interface PlannedJob {
  /** Part of the prompt and of the Idempotency-Key; unique in the run. */
  readonly name: string;
  readonly kind: Kind;
  readonly n: number;
  readonly priority: "high" | "normal" | "low";
  readonly deed: Deed;
  /** The times between the submission's answer and the deed, and between the deed's two halves. */
  readonly deedAfterMs: readonly [number, number];
}

export interface PlannedKill {
  /** The time from when the Worker answers again until the kill. */
  readonly afterMs: number;
  /** The emulator usually keeps running, as upstream does when we die; at some kills it is killed too. */
  readonly part: "worker" | "all";
  /** How many jobs may be submitted before the kill. */
  readonly submitted: number;
}

export interface CrashPlan {
  readonly seed: number;
  readonly jobs: readonly PlannedJob[];
  readonly kills: readonly PlannedKill[];
}

/** Upstream's own faults in a run: slow beyond the budget, refusals, lost answers, broken links, lost tasks. */
export const UPSTREAM_FAULTS: readonly FaultRuleInput[] = [
  { fault: { type: "slow", extraMs: 2_500 }, probability: 0.08, times: null },
  { fault: { type: "hang" }, probability: 0.02, times: null },
  { fault: { type: "error", code: "Throttling.RateQuota" }, probability: 0.02, times: null },
  { fault: { type: "error", code: "ModelUnavailable" }, probability: 0.03, times: null },
  { fault: { type: "html", status: 502 }, probability: 0.02, times: null },
  { fault: { type: "cut-after-billing" }, probability: 0.02, times: null },
  { fault: { type: "task-failed" }, probability: 0.03, times: null },
  { fault: { type: "task-unknown" }, probability: 0.02, times: null },
  { fault: { type: "result", how: "server-error", times: 2 }, probability: 0.06, times: null },
  { fault: { type: "result", how: "truncated", times: 1 }, probability: 0.04, times: null },
  { fault: { type: "result", how: "slow", delayMs: 1_500, times: 1 }, probability: 0.08, times: null },
];

function jobOf(random: Random, seed: number, number: number): PlannedJob {
  const kind = pick(random, KINDS);
  const dice = random();
  return {
    name: `crash-${seed}-${String(number).padStart(4, "0")}`,
    kind,
    n: kind === "edit" || kind === "tasks" ? between(random, 1, 3) : 1,
    priority: pick(random, ["high", "normal", "low"] as const),
    deed: dice < 0.08 ? "cancel" : dice < 0.2 ? "cancel and retry" : dice < 0.28 ? "delete" : "none",
    deedAfterMs: [between(random, 0, 4_000), between(random, 0, 2_000)],
  };
}

/** The same seed gives the same jobs, deeds and times. `crowd` jobs are submitted before the first kill. */
export function planCrash(seed: number, jobs: number, kills: number, crowd: number): CrashPlan {
  const random = seededRandom(seed);
  return {
    seed,
    jobs: Array.from({ length: jobs }, (_, index) => jobOf(random, seed, index + 1)),
    kills: Array.from({ length: kills }, (_, index) => ({
      afterMs: between(random, 0, 2_500),
      part: random() < 0.2 ? "all" : "worker",
      submitted: Math.min(jobs, crowd + Math.ceil(((jobs - crowd) * (index + 1)) / Math.max(1, kills - 1))),
    })),
  };
}
