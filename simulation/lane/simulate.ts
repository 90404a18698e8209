import type { Priority } from "../../schemas/job.ts";
import type { Place, Ticket } from "../../worker/lane/contract.ts";
import { SAFETY_MARGIN } from "../../worker/lane/core/quota-window.ts";
import { Fairness, QuotaUse, Sample } from "./measure.ts";
import { manySmall, type Random, reachesAtMs, type Scenario, seeded, UpstreamModel, untilNext } from "./scenarios.ts";
import { EventQueue, VirtualLane } from "./virtual-lane.ts";

const START_MS = Date.UTC(2026, 10, 23);
/**
 * The estimates of one waiting job in this many are compared: the one when it joins, and the one when half of the wait should be
 * over.
 */
const ESTIMATE_EVERY = 20;
/** The estimate of a shorter wait is not compared: its error in percent says nothing. */
const ESTIMATE_FROM_MS = 10_000;
const MAX_ATTEMPTS = 4;
const BACKOFF_MS = 15_000;
/** Clients' shares are compared over this many starts. */
const FAIRNESS_STRETCH = 400;

export interface Result {
  readonly scenario: Scenario;
  readonly jobs: number;
  readonly hours: number;
  readonly starts: number;
  readonly throttled: number;
  readonly mostInAWindow: number;
  readonly useOfQuota: number;
  readonly longestQueue: number;
  readonly unfinished: number;
  readonly failed: number;
  readonly waitsMs: Readonly<Record<Priority, Sample>>;
  readonly worstShare: number | null;
  readonly sharesCompared: number;
  /** The error as a share of the wait: where no job joined before it or left from before it, and for all. */
  readonly estimateErrors: { readonly undisturbed: Sample; readonly all: Sample };
}

interface Estimate {
  readonly atMs: number;
  readonly startMs: number;
  /** How many starts will have been made, its own included, according to its place. */
  readonly startsBy: number;
}

/** Runs a scenario until `jobs` jobs are submitted and served. The same seed gives the same result. */
export function simulate(scenario: Scenario, jobs: number, seed: number): Result {
  const random = seeded(seed);
  const events = new EventQueue(START_MS);
  const upstream = new UpstreamModel(scenario, random, START_MS);
  const use = new QuotaUse(scenario.quota);
  const fairness = new Fairness(FAIRNESS_STRETCH);
  const waitsMs = { high: new Sample(), normal: new Sample(), low: new Sample() };
  const estimateErrors = { undisturbed: new Sample(), all: new Sample() };
  const joinedAtMs = new Map<string, number>();
  const attempts = new Map<string, number>();
  const estimates = new Map<string, Estimate[]>();
  let starts = 0;
  let longestQueue = 0;
  let failed = 0;

  function joined(ticket: Ticket, place: Place | null): void {
    joinedAtMs.set(ticket.jobId, events.now);
    fairness.joined(ticket);
    if (place === null) return;
    use.waits(events.now);
    longestQueue = Math.max(longestQueue, joinedAtMs.size);
    if (joinedAtMs.size % ESTIMATE_EVERY !== 0) return;
    note(ticket.jobId, place);
    const halfwayMs = ((place.estimatedStartAtMs ?? events.now) + events.now) / 2;
    events.at(halfwayMs, () => {
      const later = joinedAtMs.has(ticket.jobId) ? lane.place(ticket.jobId) : null;
      if (later !== null) note(ticket.jobId, later);
    });
  }

  function note(jobId: string, place: Place): void {
    if (place.estimatedStartAtMs === null) return;
    const known = estimates.get(jobId) ?? [];
    const startsBy = starts + place.position + lane.openOffers;
    estimates.set(jobId, [...known, { atMs: events.now, startMs: place.estimatedStartAtMs, startsBy }]);
  }

  function started(ticket: Ticket): void {
    const now = events.now;
    starts += 1;
    const waitedMs = now - (joinedAtMs.get(ticket.jobId) ?? now);
    joinedAtMs.delete(ticket.jobId);
    waitsMs[ticket.priority].add(waitedMs);
    fairness.started(ticket);
    use.started(now, joinedAtMs.size);
    for (const { atMs, startMs, startsBy } of estimates.get(ticket.jobId) ?? []) {
      if (now - atMs < ESTIMATE_FROM_MS) continue;
      const error = Math.abs(startMs - now) / (now - atMs);
      estimateErrors.all.add(error);
      if (starts === startsBy) estimateErrors.undisturbed.add(error);
    }
    estimates.delete(ticket.jobId);
  }

  const { quota, margin = SAFETY_MARGIN } = scenario;
  // The lane adds its own margin to this period.
  const laneQuota = { ...quota, periodMs: Math.round((quota.periodMs * (1 + margin)) / (1 + SAFETY_MARGIN)) };
  const lane: VirtualLane = new VirtualLane(
    { lane: "upstream.test|model", quota: laneQuota, attemptBudgetMs: 45_000, misconfigured: null },
    {
      // From the offer to the call at upstream: one way and one write. After `enqueue` the answer's way back is added.
      beginLagMs: (_ticket, direct) => Math.round((direct ? 80 : 40) + random() * 4),
      call: (ticket, now) => {
        started(ticket);
        return upstream.call(reachesAtMs(scenario, random, now));
      },
      ended: (ticket, outcome, now) => {
        const again = { ...ticket, round: ticket.round + 1 };
        use.ended(now);
        if (outcome.kind === "throttled" || outcome.kind === "blocked") {
          joinedAtMs.set(ticket.jobId, now);
          fairness.joined(ticket);
          use.waits(now);
          return { ticket: again, afterMs: 0 };
        }
        const tried = (attempts.get(ticket.jobId) ?? 0) + 1;
        if (outcome.kind === "failed" && tried < MAX_ATTEMPTS) {
          attempts.set(ticket.jobId, tried);
          return { ticket: again, afterMs: BACKOFF_MS * 2 ** (tried - 1) };
        }
        if (outcome.kind === "failed") failed += 1;
        attempts.delete(ticket.jobId);
        return null;
      },
    },
    events,
    joined,
  );

  const arrivals = arrivalsOf(scenario, jobs, random);
  function nextBurst(): void {
    const burst = arrivals();
    if (burst === null) return;
    events.at(events.now + burst.afterMs, () => {
      for (const ticket of burst.tickets) lane.enqueue(ticket);
      nextBurst();
    });
  }
  nextBurst();
  events.runUntil(Number.POSITIVE_INFINITY);
  return {
    scenario,
    jobs,
    hours: (events.now - START_MS) / 3_600_000,
    starts,
    throttled: upstream.throttled,
    mostInAWindow: use.mostInAWindow,
    useOfQuota: use.share(),
    longestQueue,
    unfinished: joinedAtMs.size,
    failed,
    waitsMs,
    worstShare: fairness.worst,
    sharesCompared: fairness.compared,
    estimateErrors,
  };
}

/** Bursts, each of one client, until all jobs are submitted. */
function arrivalsOf(scenario: Scenario, jobs: number, random: Random) {
  const { quota, demand, clients, burst } = scenario;
  const [min, max] = burst;
  // The mean of `manySmall`.
  const meanBurst = min === max ? min : (max - min) / Math.log(max / min);
  const burstsPerMs = (demand * quota.starts) / quota.periodMs / meanBurst;
  let submitted = 0;
  return (): { readonly afterMs: number; readonly tickets: Ticket[] } | null => {
    if (submitted >= jobs) return null;
    const client = `client-${manySmall(random, 1, clients)}`;
    const draw = random();
    const priority: Priority = draw < 0.1 ? "high" : draw < 0.8 ? "normal" : "low";
    const size = Math.min(min === max ? min : manySmall(random, min, max), jobs - submitted);
    const tickets = Array.from({ length: size }, () => {
      submitted += 1;
      return { jobId: `job-${submitted}`, client, priority, round: 1 };
    });
    return { afterMs: untilNext(random, burstsPerMs), tickets };
  };
}
