import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Quota } from "../../../schemas/limits.ts";
import { EventQueue, VirtualLane, type World } from "../../../simulation/lane/virtual-lane.ts";
import { cases } from "../../../test/support/properties.ts";
import type { Ticket } from "../contract.ts";
import { commanded, isOutdated, type LaneCommand, NO_CONTROL, pauseOf } from "./control.ts";

const START_MS = Date.UTC(2026, 10, 23, 12);
const MINUTE_MS = 60_000;
const twoAMinute: Quota = { starts: 2, periodMs: MINUTE_MS, inProgress: null };
const PAUSE: LaneCommand = { kind: "pause", reason: "the account is being moved", untilMs: null };
const PAUSE_ANN: LaneCommand = { kind: "pauseClient", client: "ann", reason: "an unpaid bill", untilMs: null };
const RESUME_ANN: LaneCommand = { kind: "resumeClient", client: "ann" };
const COMMANDS = { pause: PAUSE, resume: { kind: "resume" }, pauseAnn: PAUSE_ANN, resumeAnn: RESUME_ANN } as const;

function stage(quota: Quota = twoAMinute, world: Partial<World> = {}) {
  const events = new EventQueue(START_MS);
  const starts: { readonly jobId: string; readonly atMs: number }[] = [];
  const settings = { lane: "upstream.test|model", quota, attemptBudgetMs: 45_000, misconfigured: null };
  const lane = new VirtualLane(
    settings,
    {
      beginLagMs: () => 0,
      ended: () => null,
      ...world,
      call: (ticket, atMs) => {
        starts.push({ jobId: ticket.jobId, atMs });
        return world.call?.(ticket, atMs) ?? { outcome: { kind: "succeeded", durationMs: 20_000 }, afterMs: 20_000 };
      },
    },
    events,
  );
  let jobs = 0;
  const join = (client = "ann"): Ticket => {
    jobs += 1;
    const ticket: Ticket = { jobId: `job-${jobs}`, client, priority: "normal", round: 1 };
    lane.enqueue(ticket);
    return ticket;
  };
  return { events, starts, lane, join, run: (ms: number) => events.runUntil(events.now + ms) };
}

const idsOf = (starts: readonly { readonly jobId: string }[]) => starts.map(({ jobId }) => jobId);

describe("a client with the name of what every object has", () => {
  it.each(["constructor", "toString"])("%s is not paused, and can be paused and resumed", (client) => {
    const none = { pause: null, limit: null, clients: {} };
    expect(pauseOf(none, client)).toBeNull();
    const paused = commanded(none, { ...PAUSE_ANN, client } as LaneCommand, START_MS);
    expect(pauseOf(paused, client)).toEqual({ reason: "an unpaid bill", untilMs: null, sinceMs: START_MS });
    expect(commanded(none, { kind: "resumeClient", client }, START_MS)).toBe(none);
  });

  it("waits for the quota like any other", () => {
    const { lane, join } = stage();
    const [, , third] = [join("constructor"), join("constructor"), join("constructor")];
    expect(lane.place(third?.jobId ?? "")?.waitingOn).toBe("quota");
  });
});

describe("a command that is carried out after a later one", () => {
  const { pause, resume, pauseAnn, resumeAnn } = COMMANDS;
  const limit: LaneCommand = { kind: "limit", change: { starts: 1 }, reason: "careful", untilMs: null };
  const given = (command: LaneCommand, givenAtMs: number): LaneCommand => ({ ...command, givenAtMs });

  it.each([
    ["pause of a lane", pause, resume],
    ["resume of a lane", resume, pause],
    ["pause of a client", pauseAnn, resumeAnn],
    ["resume of a client", resumeAnn, pauseAnn],
    ["limit", limit, { kind: "unlimit" }],
    ["end of a limit", { kind: "unlimit" }, limit],
  ] as const)("changes nothing: a %s", (_name, late, later) => {
    const control = commanded(NO_CONTROL, given(later, START_MS + 2), START_MS + 2);
    expect(commanded(control, given(late, START_MS + 1), START_MS + 3)).toBe(control);
    expect(isOutdated(control, given(late, START_MS + 1))).toBe(true);
    expect(commanded(control, given(late, START_MS + 3), START_MS + 3)).not.toBe(control);
  });

  it("is carried out when it is about something else, and when it is a repetition", () => {
    const control = commanded(NO_CONTROL, given(pauseAnn, START_MS + 2), START_MS + 2);
    const bob = given({ ...pauseAnn, client: "bob" } as LaneCommand, START_MS + 1);
    for (const each of [given(limit, START_MS), given(pause, START_MS), bob, given(pauseAnn, START_MS + 2)]) {
      expect(isOutdated(control, each)).toBe(false);
    }
    expect(Object.keys(commanded(control, bob, START_MS + 3).clients)).toEqual(["ann", "bob"]);
  });

  it("is remembered for an hour only", () => {
    const first = commanded(NO_CONTROL, given(resumeAnn, START_MS), START_MS);
    const soon = commanded(first, given(resume, START_MS + 1), START_MS + 60 * MINUTE_MS - 1);
    expect(Object.keys(soon.givenAtMs ?? {})).toEqual(["client ann", "lane"]);
    const later = commanded(soon, given(resume, START_MS + 2), START_MS + 60 * MINUTE_MS);
    expect(Object.keys(later.givenAtMs ?? {})).toEqual(["lane"]);
  });
});

describe("a paused lane", () => {
  it("starts nothing, through evictions, and continues in the old order when it is resumed", () => {
    const twin = stage();
    const { lane, starts, join, run } = stage();
    for (const each of [lane, twin.lane]) expect(each.report().paused).toBeNull();
    for (const client of ["ann", "ann", "ann", "bob", "ann", "bob", "cy"]) {
      join(client);
      twin.join(client);
    }
    lane.command(PAUSE);
    run(10 * MINUTE_MS);
    lane.evict();
    join("cy");
    run(10 * MINUTE_MS);
    expect(idsOf(starts)).toEqual(["job-1", "job-2"]);
    lane.command({ kind: "resume" });
    run(10 * MINUTE_MS);
    twin.join("cy");
    twin.run(10 * MINUTE_MS);
    expect(idsOf(starts)).toEqual(idsOf(twin.starts));
  });

  it("shows each waiting job why it waits, and readers since when", () => {
    const { lane, join, run } = stage();
    for (let i = 0; i < 3; i += 1) join();
    lane.command({ ...PAUSE, untilMs: START_MS + 60 * MINUTE_MS });
    run(MINUTE_MS);
    expect(lane.place("job-3")).toMatchObject({
      position: 1,
      waitingOn: "paused",
      estimatedStartAtMs: null,
      reason: { pausedBecause: "the account is being moved", pausedUntil: "2026-11-23T13:00:00.000Z" },
      detail: "Next in line; the operator has paused the lane until 13:00:00 UTC: the account is being moved",
    });
    expect(lane.report()).toMatchObject({
      queued: 1,
      mode: "open",
      nextStartAt: null,
      paused: {
        reason: "the account is being moved",
        since: "2026-11-23T12:00:00.000Z",
        until: "2026-11-23T13:00:00.000Z",
      },
    });
  });

  it("resumes by itself at the given time, also after an eviction", () => {
    const { lane, join, run, starts } = stage();
    for (let i = 0; i < 4; i += 1) join();
    lane.command({ ...PAUSE, untilMs: START_MS + 5 * MINUTE_MS });
    lane.evict();
    run(5 * MINUTE_MS - 1);
    expect(starts).toHaveLength(2);
    run(1_000);
    expect(starts).toHaveLength(4);
    expect(lane.report().paused).toBeNull();
  });

  it("keeps its start time when it is paused again for another reason", () => {
    const { lane, run } = stage();
    lane.command(PAUSE);
    run(MINUTE_MS);
    lane.command({ kind: "pause", reason: "still", untilMs: null });
    expect(lane.report().paused).toEqual({ reason: "still", since: "2026-11-23T12:00:00.000Z", until: null });
  });

  it("starts nothing after the time that it answers, under any jobs and crashes, and loses no job", () => {
    const step = fc.record({
      afterMs: fc.integer({ min: 0, max: 15_000 }),
      kind: fc.constantFrom("join", "join", "join", "evict", "pause", "resume", "pauseAnn", "resumeAnn"),
      lagMs: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 7_000 })),
      isSilentAtFirst: fc.boolean(),
      repeatedAfterMs: fc.option(fc.integer({ min: 0, max: 60_000 })),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 3, maxLength: 40, size: "max" }), (story) => {
        const steps = new Map<string, (typeof story)[number]>();
        const asked = new Map<string, number>();
        const { lane, join, run, starts, events } = stage(
          { starts: 3, periodMs: 10_000, inProgress: 4 },
          {
            beginLagMs: ({ jobId }, direct) => {
              const times = (asked.get(jobId) ?? 0) + 1;
              asked.set(jobId, times);
              const each = steps.get(jobId);
              // A job that is silent at first ignores an offer, but never the answer to its own `enqueue`.
              return each?.isSilentAtFirst === true && times === 1 && !direct
                ? null
                : times === 1
                  ? (each?.lagMs ?? 0)
                  : 0;
            },
            repeatedAfterMs: (jobId) => steps.get(jobId)?.repeatedAfterMs ?? null,
          },
        );
        let joined = 0;
        const owner = new Map<string, string>();
        const held: { readonly client: string | null; readonly fromMs: number; toMs: number }[] = [];
        for (const each of story) {
          run(each.afterMs);
          if (each.kind === "join") {
            joined += 1;
            steps.set(`job-${joined}`, each);
            owner.set(`job-${joined}`, joined % 2 === 0 ? "ann" : "bob");
            join(owner.get(`job-${joined}`));
          } else if (each.kind === "evict") lane.evict();
          else {
            const client = each.kind.endsWith("Ann") ? "ann" : null;
            const quietAtMs = lane.command(COMMANDS[each.kind]);
            const last = held.findLast((pause) => pause.client === client);
            const isPaused = last?.toMs === Number.POSITIVE_INFINITY;
            if (each.kind.startsWith("resume") && isPaused) last.toMs = events.now;
            if (each.kind.startsWith("pause") && !isPaused) {
              held.push({ client, fromMs: Math.max(events.now, quietAtMs), toMs: Number.POSITIVE_INFINITY });
            }
          }
        }
        run(5 * MINUTE_MS);
        for (const pause of held) {
          if (pause.toMs === Number.POSITIVE_INFINITY) pause.toMs = events.now;
        }
        lane.command(COMMANDS.resume);
        lane.command(COMMANDS.resumeAnn);
        run(60 * MINUTE_MS);
        for (const { atMs, jobId } of starts) {
          const isOf = (client: string | null) => client === null || client === owner.get(jobId);
          expect(held.some(({ client, fromMs, toMs }) => isOf(client) && atMs > fromMs && atMs < toMs)).toBe(false);
        }
        expect(new Set(idsOf(starts)).size).toBe(joined);
      }),
      cases(200),
    );
  });
});

describe("a paused client", () => {
  const clients = ["ann", "ann", "bob", "ann", "cy", "ann", "bob"];

  it("has no job started, through evictions, while the jobs of others start as if it had none", () => {
    const [twin, { lane, starts, join, run }] = [stage(), stage()];
    lane.command(PAUSE_ANN);
    for (const client of clients) join(client);
    for (const client of clients.filter((each) => each !== "ann")) twin.join(client);
    lane.evict();
    run(10 * MINUTE_MS);
    twin.run(10 * MINUTE_MS);
    expect(starts.map(({ atMs }) => atMs)).toEqual(twin.starts.map(({ atMs }) => atMs));
    expect(idsOf(starts)).toEqual(["job-3", "job-5", "job-7"]);
    expect(lane.report().queued).toBe(4);
    lane.command(RESUME_ANN);
    run(10 * MINUTE_MS);
    expect(idsOf(starts).slice(3)).toEqual(["job-1", "job-2", "job-4", "job-6"]);
  });

  it("is served in its old order after a pause in which nobody else was served", () => {
    const [twin, { lane, starts, join, run }] = [stage(), stage()];
    for (const each of [lane, twin.lane]) each.command(PAUSE);
    for (const client of clients) {
      join(client);
      twin.join(client);
    }
    lane.command(PAUSE_ANN);
    run(MINUTE_MS);
    twin.run(MINUTE_MS);
    lane.command(RESUME_ANN);
    for (const each of [lane, twin.lane]) each.command(COMMANDS.resume);
    run(10 * MINUTE_MS);
    twin.run(10 * MINUTE_MS);
    expect(idsOf(starts)).toEqual(idsOf(twin.starts));
  });

  it("takes turns with the others after a long pause, and is not served all at once", () => {
    const { lane, starts, join, run } = stage();
    lane.command(PAUSE_ANN);
    for (let job = 0; job < 6; job += 1) join("ann");
    for (let job = 0; job < 40; job += 1) join("bob");
    run(10 * MINUTE_MS);
    const before = starts.length;
    lane.command(RESUME_ANN);
    run(3 * MINUTE_MS);
    const after = idsOf(starts).slice(before);
    const anns = after.filter((id) => Number(id.slice("job-".length)) <= 6);
    expect(anns).toEqual(["job-1", "job-2", "job-3"]);
    expect(after).toHaveLength(6);
  });

  it("has jobs that show why they wait and that count in no other job's position", () => {
    const { lane, join, run } = stage();
    for (const client of ["cy", "cy", "ann", "bob"]) join(client);
    lane.command({ ...PAUSE_ANN, untilMs: START_MS + 60 * MINUTE_MS });
    run(1_000);
    expect(lane.place("job-3")).toMatchObject({
      position: 1,
      waitingOn: "paused",
      estimatedStartAtMs: null,
      reason: { pausedBecause: "an unpaid bill", pausedUntil: "2026-11-23T13:00:00.000Z" },
      detail: "Next in line; the operator has paused the client until 13:00:00 UTC: an unpaid bill",
    });
    expect(lane.place("job-4")).toMatchObject({ position: 1, waitingOn: "quota" });
    expect(lane.report().paused).toBeNull();
  });

  it("is resumed at the given time, also after an eviction of the lane", () => {
    const { lane, join, run, starts } = stage();
    lane.command({ ...PAUSE_ANN, untilMs: START_MS + 5 * MINUTE_MS });
    join("ann");
    lane.evict();
    run(5 * MINUTE_MS - 1);
    expect(starts).toEqual([]);
    run(1_000);
    expect(idsOf(starts)).toEqual(["job-1"]);
  });
});

describe("a lane whose limit the operator changed", () => {
  const faster: LaneCommand = { kind: "limit", change: { starts: 6 }, reason: "the quota was raised", untilMs: null };

  it("starts as often as the new quota allows, through evictions, and as before once the limit is removed", () => {
    const { lane, join, run, starts } = stage();
    for (let i = 0; i < 80; i += 1) join();
    run(MINUTE_MS / 2);
    expect(starts).toHaveLength(2);
    lane.command(faster);
    run(1_000);
    expect(starts).toHaveLength(6);
    lane.evict();
    run(10 * MINUTE_MS);
    const inTenMinutes = starts.length - 6;
    expect(inTenMinutes).toBeGreaterThanOrEqual(54);
    expect(inTenMinutes).toBeLessThanOrEqual(60);
    lane.command({ kind: "unlimit" });
    run(MINUTE_MS);
    const before = starts.length;
    run(5 * MINUTE_MS);
    expect(starts.length - before).toBeLessThanOrEqual(10);
    expect(starts.length - before).toBeGreaterThanOrEqual(8);
  });

  it("shows the quota in force, and why it differs from the deployment's", () => {
    const { lane } = stage();
    lane.command({ ...faster, change: { starts: 6, inProgress: 3 } });
    expect(lane.report()).toMatchObject({
      quota: { starts: 6, periodMs: MINUTE_MS, inProgress: 3 },
      startsPerMinute: 6,
      limit: { reason: "the quota was raised", since: "2026-11-23T12:00:00.000Z", until: null },
    });
    lane.command({ kind: "unlimit" });
    expect(lane.report()).toMatchObject({ quota: twoAMinute, startsPerMinute: 2, limit: null });
  });

  it("has its own quota again at the given time", () => {
    const { lane, run } = stage();
    lane.command({ ...faster, untilMs: START_MS + MINUTE_MS });
    run(MINUTE_MS);
    expect(lane.report()).toMatchObject({ quota: twoAMinute, limit: null });
  });

  it("learns its pace again under the new quota", () => {
    let throttles = true;
    const { lane, join, run } = stage(twoAMinute, {
      call: () => ({
        outcome: throttles ? { kind: "throttled", retryAfterMs: null } : { kind: "succeeded", durationMs: 1_000 },
        afterMs: 100,
      }),
    });
    join();
    run(1_000);
    expect(lane.report().pace).toBeLessThan(1);
    throttles = false;
    lane.command(faster);
    expect(lane.report().pace).toBe(1);
  });

  it("never starts more than a smaller quota allows once that is set", () => {
    const { lane, join, run, starts, events } = stage({ starts: 10, periodMs: MINUTE_MS, inProgress: null });
    for (let i = 0; i < 40; i += 1) join();
    run(5_000);
    const changedAtMs = events.now;
    lane.command({ kind: "limit", change: { starts: 1, periodMs: 2 * MINUTE_MS }, reason: "careful", untilMs: null });
    run(20 * MINUTE_MS);
    const after = starts.filter(({ atMs }) => atMs > changedAtMs).map(({ atMs }) => atMs);
    expect(after.length).toBeGreaterThan(5);
    after.forEach((atMs, index) => {
      expect(atMs - (after[index - 1] ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(2 * MINUTE_MS);
    });
  });
});
