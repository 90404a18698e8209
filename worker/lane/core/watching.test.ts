import { describe, expect, it } from "vitest";
import type { Priority } from "../../../schemas/job.ts";
import type { Quota } from "../../../schemas/limits.ts";
import { MemoryStorage } from "../simulation/memory-storage.ts";
import { LaneBook } from "./book.ts";
import { LaneDesk } from "./desk.ts";
import { advance, nextAlarmAtMs } from "./dispatch.ts";
import { Watching } from "./watching.ts";

const T0 = Date.UTC(2026, 10, 23, 12);

/** A lane that two jobs fill at `T0`, as its object holds it. */
function lane(quota: Quota = { starts: 2, periodMs: 60_000, inProgress: null }) {
  const storage = new MemoryStorage();
  const book = new LaneBook(storage, { lane: "upstream.test|model", quota, attemptBudgetMs: 45_000, paused: null }, T0);
  const desk = new LaneDesk(book);
  const watching = new Watching(book);
  function join(jobId: string, watched = false, now = T0, priority: Priority = "normal") {
    const { place } = desk.enqueue({ jobId, client: jobId, priority, round: 1 }, watched, now);
    if (watched && place !== null) watching.knows(jobId, place);
    book.save(now);
  }
  /** What the object does with any event: what is due, and the news of it. */
  function at(now: number) {
    advance(book, now);
    book.save(now);
    const news = watching.news(now);
    book.write();
    return news.map(({ jobId, place }) => `${jobId} ${place.position}`);
  }
  join("first");
  join("second");
  return { storage, book, desk, watching, join, at };
}

describe("the watched", () => {
  it("hear of a new place once, and nobody else does", () => {
    const { join, at, desk, book } = lane();
    join("a");
    join("b", true);
    join("c");
    desk.leave("a");
    book.save(T0 + 5_000);
    expect(at(T0 + 5_000)).toEqual(["b 1"]);
    expect(at(T0 + 10_000)).toEqual([]);
  });

  it("hear of many changes at most every two seconds, the last included", () => {
    const { join, at, desk, book } = lane();
    for (const jobId of ["a", "b", "c", "d"]) join(jobId);
    join("w", true);
    const heard: string[] = [];
    ["a", "b", "c", "d"].forEach((jobId, index) => {
      const now = T0 + 10_000 + index * 300;
      desk.leave(jobId);
      book.save(now);
      heard.push(...at(now));
    });
    expect(heard).toEqual(["w 4"]);
    expect(nextAlarmAtMs(book, T0 + 11_000)).toBe(T0 + 12_000);
    expect(at(T0 + 12_000)).toEqual(["w 1"]);
    expect(book.state.pushDueAtMs).toBeNull();
  });

  it("hear when others join before them, and not when they join behind", () => {
    const { join, at } = lane();
    join("w", true);
    join("behind", false, T0 + 3_000);
    expect(at(T0 + 3_000)).toEqual([]);
    join("urgent", false, T0 + 6_000, "high");
    expect(at(T0 + 6_000)).toEqual(["w 2"]);
  });

  it("hear again after a restart, which forgot what they know", () => {
    const { storage, book, join, desk, at } = lane();
    join("a");
    join("b", true);
    expect(at(T0 + 3_000)).toEqual([]);
    desk.leave("a");
    book.save(T0 + 4_000);
    const again = new LaneBook(storage, book.settings, T0 + 9_000);
    expect(new Watching(again).news(T0 + 9_000).map((news) => news.jobId)).toEqual(["b"]);
  });

  it("hear again at the next change when the word did not reach them", () => {
    const { join, at, desk, book, watching } = lane();
    join("a");
    join("b", true);
    join("c");
    desk.leave("a");
    book.save(T0 + 5_000);
    expect(at(T0 + 5_000)).toEqual(["b 1"]);
    watching.missed("b");
    desk.leave("c");
    book.save(T0 + 8_000);
    expect(at(T0 + 8_000)).toEqual(["b 1"]);
  });

  it("hear that an estimate slips while a running attempt outlasts what is usual", () => {
    const { join, at, book } = lane({ starts: 100, periodMs: 60_000, inProgress: 2 });
    join("w", true);
    join("x");
    // Both places are taken; an attempt is taken to last 30 s.
    expect(at(T0 + 1)).toEqual([]);
    const lookMs = nextAlarmAtMs(book, T0 + 1) ?? 0;
    expect(lookMs).toBeGreaterThan(T0 + 30_000);
    expect(lookMs).toBeLessThan(T0 + 36_000);
    expect(at(lookMs)).toEqual(["w 1"]);
    expect(nextAlarmAtMs(book, lookMs)).toBeLessThanOrEqual(lookMs + 10_000);
  });

  it("are forgotten when nobody watches, but not when the job asked anew meanwhile", () => {
    const { join, storage, watching, desk, book } = lane();
    join("a", true);
    watching.unwatch("a", 1);
    expect(storage.anyWatched()).toBe(false);
    desk.enqueue({ jobId: "a", client: "a", priority: "normal", round: 2 }, true, T0);
    watching.unwatch("a", 1);
    expect(storage.anyWatched()).toBe(true);
    book.save(T0);
  });

  it("none: nothing is due, whatever changes", () => {
    const { join, desk, book } = lane();
    join("a");
    join("b");
    desk.leave("a");
    book.save(T0 + 1_000);
    expect(book.state.pushDueAtMs).toBeNull();
  });
});
