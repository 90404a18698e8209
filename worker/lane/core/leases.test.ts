import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MemoryStorage } from "../../../simulation/lane/memory-storage.ts";
import type { Lease, LeaseOutcome, Release, Ticket } from "../contract.ts";
import { Lane, type LaneSettings } from "./lane.ts";
import { LEASE_ENDS } from "./offers.ts";
import { WAIT_BUCKETS_SECONDS } from "./tally.ts";

const T0 = Date.UTC(2026, 10, 23, 12);
const twoAMinute = { starts: 2, periodMs: 60_000, inProgress: null };
const succeeded: LeaseOutcome = { kind: "succeeded", durationMs: 20_000 };
const blocked: LeaseOutcome = { kind: "blocked", code: "InvalidApiKey", hint: "Mend the key." };
const refused = { accepted: false } as const;

function ticketOf(job: number | string, patch: Partial<Ticket> = {}): Ticket {
  return { jobId: `job-${job}`, client: "ann", priority: "normal", round: 1, ...patch };
}

/** A lane that is settled after each call, and what it stored. */
function laneOf(patch: Partial<LaneSettings> = {}) {
  const storage = new MemoryStorage();
  const settings = {
    lane: "upstream.test|model",
    quota: twoAMinute,
    attemptBudgetMs: 45_000,
    misconfigured: null,
    ...patch,
  };
  let lane = new Lane(storage, settings, T0);
  /** Leases offered and not asked for yet. */
  let sent: readonly Lease[] = [];
  function settle(now: number) {
    const settled = lane.settle(now);
    sent = [...sent, ...settled.offers];
    return settled;
  }
  function state() {
    const stored = storage.loadState();
    if (stored === null) throw new Error("nothing is stored");
    return stored;
  }
  function then<T>(now: number, work: (lane: Lane) => T): T {
    const answer = work(lane);
    settle(now);
    return answer;
  }
  /** The leases offered until now, and at `now`. */
  function offers(now: number): readonly Lease[] {
    settle(now);
    const all = sent;
    sent = [];
    return all;
  }
  function offer(now: number): Lease {
    const [lease] = offers(now);
    if (lease === undefined) throw new Error("no lease is offered");
    return lease;
  }
  return {
    storage,
    state,
    counted: () => state().starts.flatMap(({ atMs, count }) => Array<number>(count).fill(atMs - T0)),
    restart: (now: number, more: Partial<LaneSettings> = {}) => {
      sent = [];
      lane = new Lane(storage, { ...settings, ...more }, now);
    },
    settle,
    offers,
    offer,
    enqueue: (now: number, ticket: Ticket) => then(now, (each) => each.enqueue(ticket, false, now)),
    /** With what the object does a second later. */
    answer: (now: number, lease: Lease, startedAtMs: number | null) => {
      then(now, (each) => each.answered(lease, startedAtMs === null ? refused : { accepted: true, startedAtMs }, now));
      then(now, (each) => each.storeAnswers());
    },
    /** Answers whether the answer is in memory only. */
    hear: (now: number, lease: Lease, startedAtMs: number) => {
      lane.answered(lease, { accepted: true, startedAtMs }, now);
      return settle(now).isToStore;
    },
    release: (now: number, lease: Lease, outcome: LeaseOutcome = succeeded, more: Partial<Release> = {}) =>
      then(now, (each) =>
        each.release({ leaseId: lease.leaseId, jobId: lease.jobId, outcome, requeue: null, ...more }, now),
      ),
    observe: (now: number, outcome: LeaseOutcome, jobId: string) =>
      then(now, (each) => each.observe(outcome, jobId, now)),
    leave: (now: number, jobId: string, ticketNumber: number | null = null) =>
      then(now, (each) => each.leave(jobId, ticketNumber, now)),
    place: (now: number, jobId: string) => lane.place(jobId, false, now),
    metrics: (now: number) => lane.metrics("model", now),
  };
}

/** A lane whose two starts were used at `T0`, with `waiting` jobs in the queue: `job-1` and so on. */
function fullLane(waiting: number, patch: Partial<LaneSettings> = {}) {
  const lane = laneOf(patch);
  for (const job of [91, 92]) {
    const { lease } = lane.enqueue(T0, ticketOf(job, { client: "other" }));
    if (lease === null) throw new Error("the lane should be empty");
    lane.release(T0 + 20_000, lease);
  }
  for (let job = 1; job <= waiting; job += 1) lane.enqueue(T0 + 21_000, ticketOf(job));
  return lane;
}

/** What the lane's object passes while the settings are wrong: the model's own quota, whatever `LANE_LIMITS` says, and no budget. */
const wrongSettings: Partial<LaneSettings> = {
  quota: { starts: 2, periodMs: 1_000, inProgress: null },
  attemptBudgetMs: 0,
  misconfigured: { code: "misconfigured", hint: "QWEN_API_KEY is not set" },
};

/** When the next two starts are allowed: the first two were counted a second after they were given. */
const NEXT_MS = T0 + 61_600;

describe("the table of how a lease ends", () => {
  it("in docs/architecture.md equals `LEASE_ENDS`", () => {
    const architecture = readFileSync("docs/architecture.md", "utf8");
    const rows = [...architecture.matchAll(/^\| `(\w+)` \| [^|]+ \| ([\w ]+) \| ([\w ]+) \|$/gm)];
    expect(Object.fromEntries(rows.map(([, name, start, ticket]) => [name, { start, ticket }]))).toEqual(LEASE_ENDS);
  });
});

describe("a lease that was offered", () => {
  it("counts at the last moment to begin, and at the real start once the job has answered", () => {
    const lane = fullLane(1);
    const lease = lane.offer(NEXT_MS);
    expect(lease).toMatchObject({ jobId: "job-1", notBeforeMs: NEXT_MS, beginByMs: NEXT_MS + 5_000 });
    lane.answer(NEXT_MS + 40, lease, NEXT_MS + 30);
    expect(lane.counted()).toContain(61_630);
    lane.answer(NEXT_MS + 50, lease, NEXT_MS + 45);
    expect(lane.counted().filter((atMs) => atMs > 60_000)).toEqual([61_630]);
  });

  it("and was taken is stored with the next decision, and offered again by a lane that died before", () => {
    const lane = fullLane(2);
    const [first, second] = lane.offers(NEXT_MS);
    if (first === undefined || second === undefined) throw new Error("two leases are due");
    expect(lane.hear(NEXT_MS + 40, first, NEXT_MS + 30)).toBe(true);
    expect(lane.state().offers.map(({ leaseId }) => leaseId)).toEqual([first.leaseId, second.leaseId]);
    expect(lane.settle(NEXT_MS + 40).alarmAtMs).toBe(NEXT_MS + 5_000);
    lane.restart(NEXT_MS + 45);
    const again = lane.offers(NEXT_MS + 5_000);
    expect(again.map(({ leaseId }) => leaseId)).toEqual([first.leaseId, second.leaseId]);
    // The job answers what it answered before.
    expect(lane.hear(NEXT_MS + 5_010, first, NEXT_MS + 30)).toBe(true);
    expect(lane.hear(NEXT_MS + 5_020, second, NEXT_MS + 35)).toBe(true);
    expect(lane.state().offers).toHaveLength(2);
    lane.release(NEXT_MS + 6_000, first);
    expect(lane.state().offers).toEqual([]);
    expect(lane.counted().filter((atMs) => atMs > 60_000)).toEqual([61_630, 61_635]);
  });

  it("that is released before the answer came counts once, at the latest time at which it can have begun", () => {
    const lane = fullLane(1);
    const lease = lane.offer(NEXT_MS);
    lane.release(NEXT_MS + 500, lease, { kind: "abandoned" });
    lane.answer(NEXT_MS + 600, lease, NEXT_MS + 30);
    expect(lane.counted().filter((atMs) => atMs > 60_000)).toEqual([62_100]);
    expect(lane.state()).toMatchObject({ inProgress: 0, offers: [] });
  });

  it("that is offered again after a crash to a job that had begun counts when that began", () => {
    const lane = fullLane(1);
    lane.offer(NEXT_MS);
    lane.restart(NEXT_MS + 10_000);
    const again = lane.offer(NEXT_MS + 10_000);
    lane.answer(NEXT_MS + 10_010, again, NEXT_MS + 40);
    expect(lane.counted()).toContain(61_640);
    expect(lane.state().offers).toEqual([]);
  });

  it("that is begun by its last offer lasts as long as one begun by its first", () => {
    const lane = fullLane(1);
    const offered = [0, 5, 15, 35].map((seconds) => lane.offer(NEXT_MS + seconds * 1_000));
    const last = offered.at(-1) as Lease;
    // The attempt has its whole budget, and the job some time to report its end.
    expect(last.endsAtMs).toBe(last.notBeforeMs + 75_000);
    lane.answer(NEXT_MS + 39_000, last, NEXT_MS + 38_000);
    lane.settle(NEXT_MS + 76_000);
    expect(lane.state().inProgress).toBe(1);
    expect(lane.offers(last.endsAtMs)).toEqual([]);
    expect(lane.state().inProgress).toBe(0);
  });

  it("is offered again only when upstream has not throttled since, and not before the end of that wait", () => {
    const lane = fullLane(3);
    const [one] = lane.offers(NEXT_MS);
    expect(lane.state().offers.map(({ jobId }) => jobId)).toEqual(["job-1", "job-2"]);
    lane.release(
      NEXT_MS + 100,
      one as Lease,
      { kind: "throttled", retryAfterMs: 30_000 },
      { requeue: ticketOf(1, { round: 2 }) },
    );
    expect(lane.place(NEXT_MS + 100, "job-1")).toMatchObject({ position: 1 });
    const heldUntilMs = lane.state().pace.heldUntilMs;
    expect(lane.offers(NEXT_MS + 5_000)).toEqual([]);
    expect(lane.state().offers.map(({ jobId }) => jobId)).toEqual(["job-2"]);
    expect(lane.offers(heldUntilMs - 250).map(({ jobId, notBeforeMs }) => [jobId, notBeforeMs - heldUntilMs])).toEqual([
      ["job-2", 0],
    ]);
  });
});

describe("a lease that the job asks for again", () => {
  it("while its offer is on its way is the same lease, with the same start", () => {
    const lane = fullLane(1);
    const lease = lane.offer(NEXT_MS - 250);
    expect(lane.enqueue(NEXT_MS - 100, ticketOf(1))).toMatchObject({ lease: null, place: { position: 1 } });
    // Each answer makes the last moment a ms earlier, so that the lane ignores a late refusal of the offer.
    expect(lane.enqueue(NEXT_MS + 100, ticketOf(1)).lease).toEqual({ ...lease, beginByMs: lease.beginByMs - 2 });
    // Its start counts at its last moment, whether the job begins by the answer or by the offer.
    expect(lane.state().offers).toMatchObject([{ beginByMs: NEXT_MS + 4_998 }]);
    lane.answer(NEXT_MS + 200, lease, NEXT_MS + 110);
    expect(lane.counted().at(-1)).toBe(NEXT_MS + 110 - T0);
  });

  // An offer wakes a job whose stored outbox still holds an answered message. The job refuses, sends the message again, and asks.
  it("by a job that has refused the offer keeps its start when the refusal comes after the answer", () => {
    const lane = fullLane(3);
    const [one, two] = lane.offers(NEXT_MS);
    expect(lane.enqueue(NEXT_MS + 10, ticketOf(1)).lease).toMatchObject({ leaseId: one?.leaseId });
    lane.answer(NEXT_MS + 20, one as Lease, null);
    lane.answer(NEXT_MS + 30, two as Lease, NEXT_MS + 10);
    expect(lane.state().offers.map(({ jobId }) => jobId)).toEqual(["job-1"]);
    expect(lane.state().inProgress).toBe(2);
  });

  it("by a job that has refused the offer before its start is due is offered again when the refusal comes after the answer", () => {
    const lane = fullLane(1);
    const lease = lane.offer(NEXT_MS - 250);
    expect(lane.enqueue(NEXT_MS - 100, ticketOf(1)).place).toMatchObject({ position: 1 });
    lane.answer(NEXT_MS - 50, lease, null);
    expect(lane.offers(NEXT_MS + 5_000)).toMatchObject([{ leaseId: lease.leaseId }]);
  });

  it("after its last moment to begin is a lease to begin at once, and is offered again if that answer is lost", () => {
    const lane = laneOf();
    const { lease } = lane.enqueue(T0, ticketOf(1));
    const again = lane.enqueue(T0 + 3_000, ticketOf(1)).lease;
    expect(again).toMatchObject({ leaseId: lease?.leaseId, notBeforeMs: T0 + 3_000, beginByMs: T0 + 4_000 });
    expect(lane.counted()).toEqual([]);
    expect(lane.offers(T0 + 4_000)).toMatchObject([{ leaseId: lease?.leaseId, beginByMs: T0 + 9_000 }]);
  });

  it("after others have used the window is offered once the window allows it", () => {
    const lane = laneOf({ quota: { starts: 1, periodMs: 10_000, inProgress: null } });
    lane.enqueue(T0, ticketOf(1));
    expect(lane.enqueue(T0 + 11_200, ticketOf(2, { client: "bob" })).lease).not.toBeNull();
    expect(lane.enqueue(T0 + 13_000, ticketOf(1))).toMatchObject({ lease: null, place: { waitingOn: "quota" } });
    // The job may have begun, so the lease still counts as in progress.
    expect(lane.state().inProgress).toBe(2);
    const allowedMs = T0 + 12_200 + 10_100;
    expect(lane.offers(allowedMs - 251)).toEqual([]);
    expect(lane.offers(allowedMs - 250)).toMatchObject([{ jobId: "job-1", notBeforeMs: allowedMs }]);
  });

  it("while the settings are wrong is offered once they are right", () => {
    const lane = fullLane(2);
    lane.offers(NEXT_MS);
    lane.restart(NEXT_MS + 6_000, wrongSettings);
    const asked = lane.enqueue(NEXT_MS + 6_000, ticketOf(1));
    expect(asked).toMatchObject({ lease: null, place: { waitingOn: "blocked" } });
    lane.restart(NEXT_MS + 7_000);
    expect(lane.offers(NEXT_MS + 7_000)).toMatchObject([{ jobId: "job-2" }, { jobId: "job-1" }]);
  });
});

describe("wrong settings", () => {
  it("forget no start of the lane's own period, so that the quota is kept and nothing waits once they are right", () => {
    const quota = { ...twoAMinute, starts: 3 };
    const lane = fullLane(0, { quota });
    const { lease } = lane.enqueue(T0 + 21_000, ticketOf(1));
    if (lease === null) throw new Error("one start should be left");
    lane.restart(T0 + 30_000, wrongSettings);
    lane.enqueue(T0 + 30_000, ticketOf(1));
    lane.release(T0 + 31_000, lease);
    expect(lane.counted()).toEqual([1_000, 1_000, 22_000]);
    lane.restart(T0 + 50_000);
    for (let job = 2; job <= 4; job += 1) lane.enqueue(T0 + 50_000, ticketOf(job));
    expect(lane.offers(NEXT_MS - 251)).toEqual([]);
    expect(lane.offers(NEXT_MS - 250)).toMatchObject([{ jobId: "job-2" }, { jobId: "job-3" }]);
  });

  it("take no attempt that failed at once for one that used its whole budget", () => {
    const lane = laneOf();
    const { lease } = lane.enqueue(T0, ticketOf(1));
    if (lease === null) throw new Error("the lane should be empty");
    lane.restart(T0 + 500, wrongSettings);
    lane.release(T0 + 500, lease, { kind: "failed", fault: "none", durationMs: 400 });
    expect(lane.state().durationsMs).toEqual([]);
  });
});

describe("a lease ends", () => {
  it("declined: start, turn and place are given back, and the next job gets the start at once", () => {
    const lane = fullLane(3);
    const [one, two] = lane.offers(NEXT_MS);
    lane.answer(NEXT_MS + 20, two as Lease, NEXT_MS + 10);
    lane.answer(NEXT_MS + 30, one as Lease, null);
    expect(lane.state().offers.map(({ jobId }) => jobId)).toEqual(["job-3"]);
    expect(lane.state().inProgress).toBe(2);
    expect(lane.place(NEXT_MS + 30, "job-1")).toBeNull();
  });

  it("declined, and a job that asks again with the same ticket has its old place", () => {
    const lane = fullLane(4);
    const [one] = lane.offers(NEXT_MS);
    lane.answer(NEXT_MS + 30, one as Lease, null);
    expect(lane.place(NEXT_MS + 40, "job-4")).toMatchObject({ position: 1 });
    expect(lane.enqueue(NEXT_MS + 2_000, ticketOf(1)).place).toMatchObject({ position: 1 });
    expect(lane.place(NEXT_MS + 2_000, "job-4")).toMatchObject({ position: 2 });
    // A newer ticket is for a new attempt, and is placed behind its client's others.
    const other = fullLane(4);
    const [first] = other.offers(NEXT_MS);
    other.answer(NEXT_MS + 30, first as Lease, null);
    expect(other.enqueue(NEXT_MS + 2_000, ticketOf(1, { round: 2 })).place).toMatchObject({ position: 2 });
  });

  it.each([
    ["a second before the last moment, for clocks differ", 4_000],
    ["at the last moment", 5_000],
    ["long after it", 20_000],
  ])("refused %s: nothing is counted, and the job waits in the next round", (_name, afterMs) => {
    const lane = fullLane(2);
    for (const client of ["bob", "cy"]) lane.enqueue(T0 + 22_000, ticketOf(client, { client }));
    const [one, two] = lane.offers(NEXT_MS);
    lane.answer(NEXT_MS + 20, two as Lease, NEXT_MS + 10);
    lane.answer(NEXT_MS + afterMs, one as Lease, null);
    expect(lane.counted().filter((atMs) => atMs > 60_000)).toEqual([61_610]);
    // Cy gets the start that was given back. Job 2 has a place in the next round already.
    expect(lane.state().offers.map(({ jobId }) => jobId)).toEqual(["job-cy"]);
    expect(lane.place(NEXT_MS + afterMs, "job-1")).toMatchObject({ position: 2 });
  });

  it("not by a late refusal of an older offer: the newer offer counts", () => {
    const lane = fullLane(1);
    const old = lane.offer(NEXT_MS);
    const again = lane.offer(NEXT_MS + 5_000);
    lane.answer(NEXT_MS + 5_100, old, null);
    expect(lane.state().offers).toMatchObject([{ leaseId: again.leaseId, beginByMs: NEXT_MS + 10_000 }]);
    expect(lane.state().inProgress).toBe(1);
  });

  it("unanswered to its end: the job waits again behind the others of its client, and is dropped after three", () => {
    const lane = fullLane(2);
    let nowMs = NEXT_MS;
    const offered: string[] = [];
    const alive: Lease[] = [];
    for (let step = 0; step < 600 && (lane.place(nowMs, "job-1") !== null || lane.state().inProgress > 0); step += 1) {
      for (const lease of lane.offers(nowMs)) {
        offered.push(lease.jobId);
        if (lease.jobId !== "job-1") alive.push(lease);
      }
      for (const lease of alive.splice(0)) {
        lane.answer(nowMs, lease, nowMs);
        lane.release(nowMs, lease);
      }
      nowMs += 1_000;
    }
    const leases = lane.state().grants - 2;
    expect(leases).toBe(1 + 3);
    expect(new Set(offered)).toEqual(new Set(["job-1", "job-2"]));
    expect(lane.place(nowMs, "job-1")).toBeNull();
    // A dropped job that asks again counts as new.
    expect(lane.enqueue(nowMs, ticketOf(1)).lease).not.toBeNull();
  });

  it("unanswered twice and then taken: the count starts again", () => {
    const lane = fullLane(1);
    let nowMs = NEXT_MS;
    const silentUntil = (grants: number) => {
      while (lane.state().grants < grants) {
        lane.settle(nowMs);
        nowMs += 1_000;
      }
    };
    silentUntil(5);
    const lease = lane.storage.lease("job-1");
    expect(lease?.unanswered).toBe(2);
    const [offer] = lane.state().offers;
    if (lease === null || offer === undefined) throw new Error("no lease is out");
    const sent: Lease = { ...lease, lane: "", round: 1, notBeforeMs: offer.notBeforeMs, beginByMs: offer.beginByMs };
    lane.answer(nowMs, sent, nowMs);
    lane.release(nowMs, sent, { kind: "throttled", retryAfterMs: null }, { requeue: ticketOf(1, { round: 2 }) });
    expect(lane.storage.ticket("job-1")?.unanswered).toBe(0);
  });

  it("unanswered while the settings are wrong: the job, which was not asked again, keeps its place", () => {
    const lane = fullLane(2);
    const turn = lane.storage.ticket("job-1")?.turn;
    lane.offers(NEXT_MS);
    lane.restart(NEXT_MS + 1_000, { misconfigured: { code: "misconfigured", hint: "QWEN_API_KEY is not set" } });
    expect(lane.offers(NEXT_MS + 100_000)).toEqual([]);
    expect(lane.storage.ticket("job-1")).toMatchObject({ turn, unanswered: 0 });
    lane.restart(NEXT_MS + 200_000);
    expect(lane.offers(NEXT_MS + 200_000).map(({ jobId }) => jobId)).toEqual(["job-1", "job-2"]);
  });

  it("expired: a job that had begun is not put back", () => {
    const lane = fullLane(1);
    const lease = lane.offer(NEXT_MS);
    lane.answer(NEXT_MS + 40, lease, NEXT_MS + 30);
    lane.settle(lease.endsAtMs);
    expect(lane.state().inProgress).toBe(0);
    expect(lane.place(lease.endsAtMs, "job-1")).toBeNull();
  });

  it("by leaving: an unused lease from the answer to enqueue is given back, an offered one stays counted until the answer", () => {
    const direct = laneOf();
    direct.enqueue(T0, ticketOf(1));
    direct.leave(T0 + 10, "job-1");
    expect(direct.counted()).toEqual([]);
    const lane = fullLane(1);
    const lease = lane.offer(NEXT_MS);
    lane.leave(NEXT_MS + 10, "job-1");
    expect(lane.state()).toMatchObject({ inProgress: 0, offers: [{ jobId: "job-1" }] });
    lane.answer(NEXT_MS + 20, lease, null);
    expect(lane.state().offers).toEqual([]);
    expect(lane.counted().filter((atMs) => atMs > 60_000)).toEqual([]);
  });

  it("not by a late leave with the number of an older ticket", () => {
    const lane = fullLane(0);
    lane.enqueue(T0 + 21_000, ticketOf(1, { round: 3 }));
    lane.leave(T0 + 22_000, "job-1", 2);
    expect(lane.place(T0 + 22_000, "job-1")).toMatchObject({ position: 1 });
    lane.offer(NEXT_MS);
    lane.leave(NEXT_MS + 10, "job-1", 2);
    expect(lane.state().inProgress).toBe(1);
    lane.leave(NEXT_MS + 20, "job-1", 3);
    expect(lane.state().inProgress).toBe(0);
  });
});

describe("a release", () => {
  it("of a lease that the lane has lost ends the newer lease of the same ticket, and its ghost in the queue", () => {
    const lane = fullLane(1);
    const lost = lane.offer(NEXT_MS);
    // The job began, but its answer never came; the lease ran out and the job was queued again.
    lane.settle(lost.endsAtMs);
    expect(lane.state().inProgress + (lane.storage.ticket("job-1") === null ? 0 : 1)).toBe(1);
    lane.release(lost.endsAtMs + 10, lost, succeeded, { ticketNumber: 1 });
    expect(lane.place(lost.endsAtMs + 10, "job-1")).toBeNull();
    expect(lane.state().inProgress).toBe(0);
  });

  it("with a newer ticket than that of the lane's lease puts the job back, whatever lease it names", () => {
    const lane = fullLane(1);
    const lease = lane.offer(NEXT_MS);
    const other = { ...lease, leaseId: "job-1.99" };
    const place = lane.release(NEXT_MS + 10, other, succeeded, { requeue: ticketOf(1, { round: 2 }) });
    expect(place).toMatchObject({ position: 1 });
    // The start was given back, so the job is offered the next one at once.
    expect(lane.storage.lease("job-1")).toMatchObject({ ticketNumber: 2 });
  });

  it("repeated does not disturb a newer lease", () => {
    const lane = fullLane(1);
    const first = lane.offer(NEXT_MS);
    lane.answer(NEXT_MS + 40, first, NEXT_MS + 30);
    const release = { requeue: ticketOf(1, { round: 2 }), ticketNumber: 1 };
    lane.release(NEXT_MS + 1_000, first, { kind: "throttled", retryAfterMs: 1_000 }, release);
    const second = lane.offer(NEXT_MS + 125_000);
    lane.release(NEXT_MS + 125_010, first, { kind: "throttled", retryAfterMs: 1_000 }, release);
    expect(lane.storage.lease("job-1")?.leaseId).toBe(second.leaseId);
  });
});

describe("failures of upstream's own", () => {
  const breaks: LeaseOutcome = { kind: "failed", fault: "upstream", durationMs: 90 };
  const many = { starts: 100, periodMs: 60_000, inProgress: null };
  const modeAfter = (jobs: readonly number[]) => {
    const lane = laneOf({ quota: many });
    for (const [index, job] of jobs.entries()) {
      const { lease } = lane.enqueue(T0 + index * 100, ticketOf(job, { round: index + 1 }));
      if (lease === null) return "one at a time";
      lane.release(T0 + index * 100 + 90, lease, breaks);
    }
    return lane.state().upstreamFailures;
  };

  it("of one job count once: two jobs that fail four times each leave the lane open", () => {
    expect(modeAfter([1, 1, 1, 1, 2, 2, 2, 2])).toBe(2);
  });

  it("of five jobs make the lane try one at a time", () => {
    expect(modeAfter([1, 1, 2, 3, 3, 4, 5])).toBe(5);
  });

  it("that are reported late count once for their job too", () => {
    const lane = laneOf({ quota: many });
    for (let i = 0; i < 6; i += 1) lane.observe(T0 + i, breaks, "job-1");
    expect(lane.state().upstreamFailures).toBe(1);
  });

  it("all count while one job is tried at a time, so that the pauses grow", () => {
    const lane = laneOf({ quota: many });
    for (let job = 1; job <= 5; job += 1) lane.observe(T0, breaks, `job-${job}`);
    const pauses = [1, 2, 3].map(() => {
      lane.observe(T0, breaks, "job-5");
      return lane.state().trialAtMs - T0;
    });
    expect(pauses).toEqual([2_000, 4_000, 8_000]);
  });
});

/** A lane that one job's call has blocked at `T0`, with `waiting` others in the queue. */
function blockedLane(waiting: number) {
  const lane = laneOf();
  const { lease } = lane.enqueue(T0 - 100, ticketOf(0));
  if (lease === null) throw new Error("the lane should be empty");
  lane.release(T0, lease, blocked);
  for (let job = 1; job <= waiting; job += 1) lane.enqueue(T0, ticketOf(job));
  return lane;
}

describe("a probe that is not used", () => {
  it("is offered to the next job at once: two hundred jobs that no longer wait cost a blocked lane seconds, not hours", () => {
    const lane = blockedLane(201);
    const asked: string[] = [];
    let nowMs = T0;
    while (asked.length < 201) {
      const [lease, ...more] = lane.offers(nowMs);
      if (more.length > 0) throw new Error("a blocked lane offers one lease at a time");
      if (lease === undefined) {
        nowMs = Math.max(nowMs + 1, lane.settle(nowMs).alarmAtMs ?? Number.POSITIVE_INFINITY);
        continue;
      }
      asked.push(lease.jobId);
      nowMs += 10;
      lane.answer(nowMs, lease, lease.jobId === "job-201" ? Math.max(nowMs, lease.notBeforeMs) : null);
    }
    expect(asked).toEqual(Array.from({ length: 201 }, (_, index) => `job-${index + 1}`));
    expect(nowMs - T0).toBeLessThan(65_000);
    // The last probe was used: the next is due a minute after it.
    expect(lane.state().block?.nextProbeAtMs).toBeGreaterThanOrEqual(nowMs + 59_000);
  });

  it("is due at once also when the job left before it answered", () => {
    const lane = blockedLane(2);
    const lease = lane.offer(T0 + 60_000);
    lane.leave(T0 + 60_005, lease.jobId);
    lane.answer(T0 + 60_010, lease, null);
    expect(lane.state().offers.map(({ jobId }) => jobId)).toEqual(["job-2"]);
  });

  it("is due at once when it was the answer to enqueue, and the job left", () => {
    const lane = blockedLane(0);
    expect(lane.enqueue(T0 + 60_000, ticketOf(1)).lease).not.toBeNull();
    lane.leave(T0 + 60_005, "job-1");
    expect(lane.enqueue(T0 + 60_010, ticketOf(2)).lease).not.toBeNull();
  });
});

describe("a lease from before a block", () => {
  it("that is unanswered is not offered again before the next probe", () => {
    const lane = laneOf();
    const { lease } = lane.enqueue(T0, ticketOf(91));
    lane.enqueue(T0, ticketOf(92));
    for (const job of [1, 2]) lane.enqueue(T0 + 10, ticketOf(job));
    lane.settle(T0 + 61_700);
    expect(lane.state().offers.map(({ jobId }) => jobId)).toEqual(["job-1", "job-2"]);
    lane.offers(T0 + 61_700);
    lane.release(T0 + 62_000, lease as Lease, blocked, { requeue: ticketOf(91, { round: 2 }) });
    for (let atMs = 63_000; atMs < 121_000; atMs += 1_000) expect(lane.offers(T0 + atMs)).toEqual([]);
  });

  it("that is given back unused brings no probe forward", () => {
    const lane = laneOf();
    const { lease } = lane.enqueue(T0, ticketOf(1));
    lane.enqueue(T0, ticketOf(2));
    lane.release(T0, lease as Lease, blocked);
    lane.leave(T0, "job-2");
    expect(lane.state().block?.nextProbeAtMs).toBe(T0 + 60_000);
  });
});

describe("the wait in the queue", () => {
  /** How many attempts waited up to each number of seconds and no less. */
  const waitsOf = (lane: ReturnType<typeof laneOf>, now: number) => {
    const { buckets } = lane.metrics(now).tally.waits;
    return Object.fromEntries(
      buckets.flatMap((count, at) => (count === 0 ? [] : [[WAIT_BUCKETS_SECONDS[at] ?? "more", count]])),
    );
  };

  it("is shown for the ticket that waits longest, and is counted once for each attempt when that is over", () => {
    const lane = fullLane(2);
    expect(waitsOf(lane, T0 + 21_000)).toEqual({ 1: 2 });
    expect(lane.metrics(T0 + 31_000).oldestWaitMs).toBe(10_000);
    const [first, second] = lane.offers(NEXT_MS);
    if (first === undefined || second === undefined) throw new Error("two leases are offered");
    expect(lane.metrics(NEXT_MS).oldestWaitMs).toBe(0);
    for (const lease of [first, second]) lane.answer(NEXT_MS + 5, lease, NEXT_MS);
    lane.release(NEXT_MS + 20_000, first);
    lane.release(NEXT_MS + 20_000, first);
    expect(waitsOf(lane, NEXT_MS + 20_000)).toEqual({ 1: 2, 60: 1 });
    expect(lane.metrics(NEXT_MS + 20_000).tally.waits.seconds).toBeCloseTo(40.6, 1);
  });

  it("continues for a ticket that is put back, through a restart of the lane", () => {
    const lane = fullLane(1);
    const lease = lane.offer(NEXT_MS);
    lane.answer(NEXT_MS + 5, lease, NEXT_MS);
    const throttled = { kind: "throttled", retryAfterMs: null } as const;
    lane.release(NEXT_MS + 1_000, lease, throttled, { requeue: ticketOf(1, { round: 2 }) });
    lane.restart(NEXT_MS + 2_000);
    expect(lane.metrics(T0 + 121_000).oldestWaitMs).toBe(100_000);
  });

  it("is not counted for a lease that was not used, nor for an unanswered one", () => {
    const lane = fullLane(2);
    const [declined, silent] = lane.offers(NEXT_MS);
    if (declined === undefined || silent === undefined) throw new Error("two leases are offered");
    lane.answer(NEXT_MS + 5, declined, null);
    lane.offers(silent.endsAtMs + 120_000);
    expect(waitsOf(lane, silent.endsAtMs + 120_000)).toEqual({ 1: 2 });
  });
});
