import { describe, expect, it } from "vitest";
import type { Priority } from "../../../schemas/job.ts";
import type { Quota } from "../../../schemas/limits.ts";
import { MemoryStorage } from "../../../simulation/lane/memory-storage.ts";
import { Lane } from "./lane.ts";

const T0 = Date.UTC(2026, 10, 23, 12);

/** A lane whose places two jobs take at `T0`, as its object holds it. */
function laneWith(quota: Quota = { starts: 2, periodMs: 60_000, inProgress: null }) {
  const storage = new MemoryStorage();
  const settings = { lane: "upstream.test|model", quota, attemptBudgetMs: 45_000, misconfigured: null };
  const restarted = (now: number) => new Lane(storage, settings, now);
  const lane = restarted(T0);
  function join(jobId: string, watched = false, now = T0, priority: Priority = "normal") {
    lane.enqueue({ jobId, client: jobId, priority, round: 1 }, watched, now);
    lane.settle(now);
  }
  function leave(jobId: string, now: number) {
    lane.leave(jobId, null, now);
    return at(now);
  }
  /** The notices that are due, as "job position". */
  function at(now: number, room?: number) {
    return lane.settle(now, room).notices.map(({ jobId, place }) => `${jobId} ${place.position}`);
  }
  const alarmAt = (now: number) => lane.settle(now).alarmAtMs ?? Number.NaN;
  join("first");
  join("second");
  return { storage, lane, restarted, join, leave, at, alarmAt };
}

describe("watched jobs", () => {
  it("are notified of a new place once, and unwatched jobs are not", () => {
    const { join, leave, at } = laneWith();
    join("a");
    join("b", true);
    join("c");
    expect(leave("a", T0 + 5_000)).toEqual(["b 1"]);
    expect(at(T0 + 10_000)).toEqual([]);
  });

  it("are notified of many changes at most every two seconds, the last one included", () => {
    const { join, leave, at, alarmAt, storage } = laneWith();
    for (const jobId of ["a", "b", "c", "d"]) join(jobId);
    join("w", true);
    const heard = ["a", "b", "c", "d"].flatMap((jobId, index) => leave(jobId, T0 + 10_000 + index * 300));
    expect(heard).toEqual(["w 4"]);
    expect(alarmAt(T0 + 11_000)).toBe(T0 + 12_000);
    expect(at(T0 + 12_000)).toEqual(["w 1"]);
    expect(storage.loadState()?.pushDueAtMs).toBeNull();
  });

  it("are notified when others join before them, and not when they join behind", () => {
    const { join, at, lane } = laneWith();
    join("w", true);
    join("behind", false, T0 + 3_000);
    expect(at(T0 + 3_000)).toEqual([]);
    lane.enqueue({ jobId: "urgent", client: "urgent", priority: "high", round: 1 }, false, T0 + 6_000);
    expect(at(T0 + 6_000)).toEqual(["w 2"]);
  });

  it("are notified of their place once more after a restart, which forgets the notices", () => {
    const { join, leave, restarted } = laneWith();
    join("a");
    join("b", true, T0 + 1_000);
    expect(leave("a", T0 + 1_500)).toEqual([]);
    expect(
      restarted(T0 + 9_000)
        .settle(T0 + 9_000)
        .notices.map(({ jobId }) => jobId),
    ).toEqual(["b"]);
  });

  it("are notified again at the next change when a notice did not reach them", () => {
    const { join, leave, lane } = laneWith();
    join("a");
    join("b", true);
    join("c");
    expect(leave("a", T0 + 5_000)).toEqual(["b 1"]);
    lane.missed("b", T0 + 5_000);
    expect(leave("c", T0 + 8_000)).toEqual(["b 1"]);
  });

  it("are notified again without a change when a notice did not reach them, and not every two seconds", () => {
    const { join, leave, lane, at, alarmAt } = laneWith();
    join("a");
    join("b", true);
    expect(leave("a", T0 + 5_000)).toEqual(["b 1"]);
    for (const missedAtMs of [T0 + 6_000, T0 + 20_000, T0 + 33_000]) {
      lane.missed("b", missedAtMs);
      expect(at(missedAtMs)).toEqual([]);
      expect(alarmAt(missedAtMs)).toBe(missedAtMs + 10_000);
      expect(at(missedAtMs + 9_999)).toEqual([]);
      expect(at(missedAtMs + 10_000)).toEqual(["b 1"]);
    }
    expect(at(T0 + 53_000)).toEqual([]);
    // A job that is not watched any more is not notified again.
    lane.unwatch("b", 1);
    lane.missed("b", T0 + 54_000);
    expect(at(T0 + 54_000)).toEqual([]);
    expect(alarmAt(T0 + 54_000)).toBeGreaterThan(T0 + 60_000);
  });

  it("are notified again after the pass whose notice did not reach them", () => {
    const { join, leave, lane, at } = laneWith();
    join("a");
    join("b", true);
    join("c", true);
    expect(lane.isNotifying).toBe(false);
    lane.leave("a", null, T0 + 5_000);
    expect(at(T0 + 5_000, 1)).toEqual(["b 1"]);
    expect(lane.isNotifying).toBe(true);
    lane.missed("b", T0 + 5_100);
    expect(at(T0 + 5_100)).toEqual(["c 2"]);
    expect(at(T0 + 15_099)).toEqual([]);
    expect(at(T0 + 15_100)).toEqual(["b 1"]);
    expect(leave("c", T0 + 20_000)).toEqual([]);
  });

  it("are notified of a moving estimate while a running attempt takes longer than usual", () => {
    const { join, at, alarmAt } = laneWith({ starts: 100, periodMs: 60_000, inProgress: 2 });
    join("w", true);
    join("x");
    // Both places are taken; an attempt is expected to last 30 s.
    expect(at(T0 + 2_000)).toEqual([]);
    const lookMs = alarmAt(T0 + 2_000);
    expect(lookMs).toBeGreaterThan(T0 + 30_000);
    expect(lookMs).toBeLessThan(T0 + 36_000);
    expect(at(lookMs)).toEqual(["w 1"]);
    expect(alarmAt(lookMs)).toBeLessThanOrEqual(lookMs + 10_000);
  });

  it("far back in the queue are notified of a new place once in thirty seconds, while their estimate hardly moves", () => {
    const { join, leave, at, alarmAt } = laneWith();
    for (let i = 1; i <= 60; i += 1) join(`j${i}`);
    join("w", true);
    expect(leave("j1", T0 + 5_000)).toEqual([]);
    expect(alarmAt(T0 + 5_000)).toBeLessThanOrEqual(T0 + 30_000);
    expect(at(T0 + 29_999)).toEqual([]);
    expect(at(T0 + 30_000)).toEqual(["w 60"]);
    expect(leave("j2", T0 + 35_000)).toEqual([]);
  });

  it("are not notified of a place that a start takes them from before the next pass, unless it is put off", () => {
    const { join, at, lane } = laneWith({ starts: 1, periodMs: 1_000, inProgress: null });
    join("a", true);
    join("b", true);
    // "first" has begun, "second" is offered its lease at 1.76 s, "a" at 2.77 s and "b" at 3.78 s.
    const [lease] = lane.settle(T0 + 1_760).offers;
    if (lease?.jobId !== "second") throw new Error("the second job is offered its lease");
    expect(at(T0 + 2_000)).toEqual([]);
    // It does not answer, so that nothing starts.
    expect(at(T0 + 3_000)).toEqual([]);
    expect(at(T0 + 4_100)).toEqual(["a 1", "b 2"]);
  });

  it("are notified within seconds of a much nearer place, however often the starts before theirs are put off", () => {
    const { join, at, alarmAt, lane } = laneWith({ starts: 1, periodMs: 1_000, inProgress: null });
    for (let i = 1; i <= 40; i += 1) join(`j${i}`);
    join("w", true);
    let now = T0 + 600;
    for (let i = 2; i <= 40; i += 1) lane.leave(`j${i}`, null, now);
    // No job answers its offer.
    while (at(now).length === 0) now = alarmAt(now);
    expect(now).toBeLessThanOrEqual(T0 + 600 + 2_000 + 2_000);
  });

  it("are notified with the next start where that follows within half a second, by one alarm", () => {
    const { join, at, alarmAt, lane } = laneWith({ starts: 1, periodMs: 1_000, inProgress: null });
    for (const jobId of ["a", "b", "c", "d"]) join(jobId);
    join("w", true, T0 + 1_500);
    for (const [offeredMs, jobId] of [
      [1_760, "second"],
      [2_770, "a"],
    ] as const) {
      const [lease] = lane.settle(T0 + offeredMs).offers;
      if (lease?.jobId !== jobId) throw new Error(`${jobId} is offered its lease`);
      lane.answered(lease, { accepted: true, startedAtMs: lease.notBeforeMs }, lease.notBeforeMs);
    }
    // The pass is due at 3.5 s, two seconds after the last one; the next lease at 3.78 s.
    expect(alarmAt(T0 + 3_020)).toBe(T0 + 3_780);
    expect(at(T0 + 3_780)).toEqual(["w 3"]);
  });

  it("that are watched since different times are notified in passes at least two seconds apart", () => {
    const { lane, join, leave } = laneWith();
    for (let i = 1; i <= 60; i += 1) join(`j${i}`);
    for (let i = 0; i < 50; i += 1) join(`w${i}`, true, T0 + i * 100);
    leave("j1", T0 + 6_000);
    const passes: number[] = [];
    let heard = 0;
    for (let now = T0 + 6_000; now < T0 + 45_000; ) {
      const alarmAtMs = lane.settle(now).alarmAtMs ?? Number.POSITIVE_INFINITY;
      if (alarmAtMs >= T0 + 45_000) break;
      now = alarmAtMs;
      const { notices } = lane.settle(now);
      heard += notices.length;
      if (notices.length > 0) passes.push(now);
    }
    expect(heard).toBe(50);
    const gaps = passes.slice(1).map((atMs, index) => atMs - (passes[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(2_000);
  });

  it("are notified of a change within two seconds, also when the next pass is due later", () => {
    const { join, leave, at, alarmAt } = laneWith({ starts: 100, periodMs: 60_000, inProgress: 2 });
    join("a");
    join("w", true);
    expect(at(T0 + 2_000)).toEqual([]);
    expect(alarmAt(T0 + 2_000)).toBeGreaterThan(T0 + 30_000);
    expect(leave("a", T0 + 5_000)).toEqual(["w 1"]);
  });

  it("are forgotten when nobody watches, but not when the job asked with a newer ticket meanwhile", () => {
    const { join, storage, lane } = laneWith();
    join("a", true);
    lane.unwatch("a", 1);
    expect(storage.anyWatched()).toBe(false);
    lane.enqueue({ jobId: "a", client: "a", priority: "normal", round: 2 }, true, T0);
    lane.unwatch("a", 1);
    expect(storage.anyWatched()).toBe(true);
  });

  it("cost nothing when there are none", () => {
    const { join, leave, storage } = laneWith();
    join("a");
    join("b");
    leave("a", T0 + 1_000);
    expect(storage.loadState()?.pushDueAtMs).toBeNull();
  });
});

describe("a pass over many watched jobs", () => {
  function crowd(jobs: number) {
    const all = laneWith();
    all.join("ahead");
    for (let i = 1; i <= jobs; i += 1) all.join(`w${i}`, true);
    all.at(T0 + 3_000);
    return all;
  }

  it("is made in pages of at most `room` notices, and reaches every job once", () => {
    const { leave, lane, at } = crowd(250);
    leave("ahead", T0 + 10_000);
    lane.leave("w1", null, T0 + 50_000);
    const pages: string[][] = [at(T0 + 50_000, 64)];
    expect(lane.isNotifying).toBe(true);
    expect(at(T0 + 50_000, 0)).toEqual([]);
    while (lane.isNotifying) pages.push(at(T0 + 50_001, 64));
    expect(pages.map((page) => page.length)).toEqual([64, 64, 64, 57]);
    expect(new Set(pages.flat()).size).toBe(249);
    expect(at(T0 + 60_000)).toEqual([]);
  });

  it("is followed by another when places have changed meanwhile, two seconds after it began", () => {
    const { lane, at, alarmAt } = crowd(100);
    lane.leave("w1", null, T0 + 50_000);
    expect(at(T0 + 50_000, 60)).toHaveLength(60);
    lane.leave("w2", null, T0 + 50_100);
    expect(at(T0 + 50_100, 60)).toHaveLength(39 - 1 + 1);
    expect(lane.isNotifying).toBe(false);
    expect(alarmAt(T0 + 50_200)).toBe(T0 + 52_000);
    expect(at(T0 + 52_000)).toContain("w3 2");
  });

  it("begins again after a crash in between", () => {
    const { lane, at, restarted } = crowd(100);
    lane.leave("w1", null, T0 + 50_000);
    expect(at(T0 + 50_000, 60)).toHaveLength(60);
    const again = restarted(T0 + 51_000).settle(T0 + 51_000);
    expect(again.notices).toHaveLength(99);
  });
});
