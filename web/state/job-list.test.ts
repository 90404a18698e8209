import { describe, expect, it } from "vitest";
import { NO_REASON } from "../../schemas/job.ts";
import { EVERYTHING, type Filter } from "./filter.ts";
import { EMPTY_LIST, type JobListState, lengthOf, listingOf, missingFrom, reduceJobList } from "./job-list.ts";
import { LISTED } from "./listed-job.fixture.ts";
import type { ListedJob } from "./listed-job.ts";

const ALL = EVERYTHING;
const READY: Filter = { ...EVERYTHING, show: "ready" };

/** Jobs are numbered by age: the higher the newer. */
function listed(number: number, change: Partial<ListedJob> = {}): ListedJob {
  const at = new Date(Date.UTC(2026, 10, 23, 12, 0, number)).toISOString();
  const id = `job_${String(number).padStart(21, "0")}`;
  return {
    ...LISTED,
    id,
    createdAt: at,
    updatedAt: at,
    deadlineAt: at,
    prompt: `prompt ${number}`,
    ...change,
  };
}

const place = {
  position: 2,
  estimatedStartAt: null,
  waitingOn: "quota",
  reason: NO_REASON,
  detail: "2nd in line",
} as const;

type Part = "first" | "anew" | "next";

function page(
  state: JobListState,
  filter: Filter,
  jobs: ListedJob[],
  nextCursor: string | null,
  part: Part = "first",
  cursor = part === "next" ? listingOf(state, filter).nextCursor : null,
) {
  return reduceJobList(state, { type: "page", filter, jobs, nextCursor, part, cursor });
}

function numbers(state: JobListState, filter: Filter): number[] {
  return listingOf(state, filter).jobs.map(({ id }) => Number(id.slice(4)));
}

it("shows a job that the server found by the part of its prompt that only the server knows", () => {
  const search: Filter = { ...EVERYTHING, q: "lighthouse" };
  const long = listed(5, { prompt: "the first 200 characters" });
  let state = page(EMPTY_LIST, ALL, [listed(9), long, listed(1)], null);
  expect(numbers(state, search)).toEqual([]);
  state = page(state, search, [long], null);
  expect(numbers(state, search)).toEqual([5]);
  state = reduceJobList(state, { type: "seen", jobs: [listed(10, { prompt: "A Lighthouse" })] });
  expect(numbers(state, search)).toEqual([10, 5]);
});

describe("missingFrom", () => {
  const known = [listed(9), listed(8), listed(5), listed(2)];
  const missing = (jobs: ListedJob[], ended: boolean) => missingFrom({ jobs, ended }, known).map(({ id }) => id);

  it("names the jobs that a page should have held, and none beyond its last job", () => {
    expect(missing([listed(9), listed(5), listed(4)], false)).toEqual([listed(8).id]);
  });
  it("takes a list that has ended for the whole", () => {
    expect(missing([listed(9), listed(5)], true)).toEqual([listed(8).id, listed(2).id]);
    expect(missing([], true)).toHaveLength(4);
  });
  it("names nothing for an empty page that has a next one", () => {
    expect(missing([], false)).toEqual([]);
  });
});

describe("the list of jobs", () => {
  it("shows the newest job first, in whichever order jobs arrive", () => {
    const state = reduceJobList(EMPTY_LIST, { type: "seen", jobs: [listed(2), listed(9), listed(5)] });
    expect(numbers(state, ALL)).toEqual([9, 5, 2]);
  });

  it("keeps the state with the highest seq", () => {
    let state = reduceJobList(EMPTY_LIST, { type: "seen", jobs: [listed(1, { seq: 3, status: "succeeded" })] });
    state = reduceJobList(state, { type: "seen", jobs: [listed(1, { seq: 2, status: "running" })] });
    expect(listingOf(state, ALL).jobs[0]?.status).toBe("succeeded");
  });

  it("takes a new place at the same seq, and keeps it when the next state has none", () => {
    let state = reduceJobList(EMPTY_LIST, { type: "seen", jobs: [listed(1, { status: "queued" })] });
    state = reduceJobList(state, { type: "seen", jobs: [listed(1, { status: "queued", queue: place })] });
    state = reduceJobList(state, { type: "seen", jobs: [listed(1, { status: "queued" })] });
    expect(listingOf(state, ALL).jobs[0]?.queue).toEqual(place);
  });

  it("keeps a job's client when the next state does not name it", () => {
    let state = reduceJobList(EMPTY_LIST, { type: "seen", jobs: [listed(1), listed(2, { client: "atelier" })] });
    state = reduceJobList(state, { type: "seen", jobs: [listed(1, { seq: 2, client: null })] });
    expect(listingOf(state, ALL).jobs.at(-1)).toMatchObject({ seq: 2, client: "studio" });
  });

  it("takes a job's client from an older state too", () => {
    const seen = (state: JobListState, change: Partial<ListedJob>) =>
      reduceJobList(state, { type: "seen", jobs: [listed(1, change)] });
    const state = seen(seen(EMPTY_LIST, { seq: 3, client: null }), { seq: 2, client: "studio", status: "running" });
    expect(listingOf(state, ALL).jobs[0]).toMatchObject({ seq: 3, client: "studio", status: "succeeded" });
  });

  it("does not bring a deleted job back when a late page still has it", () => {
    let state = reduceJobList(EMPTY_LIST, { type: "seen", jobs: [listed(1), listed(2)] });
    state = reduceJobList(state, { type: "gone", id: listed(1).id });
    state = page(state, ALL, [listed(2), listed(1)], null);
    expect(numbers(state, ALL)).toEqual([2]);
  });

  it("shows a filter only down to where its own pages end: beyond there may be gaps", () => {
    let state = page(EMPTY_LIST, ALL, [listed(9), listed(8), listed(3)], null);
    state = page(state, READY, [listed(9), listed(8)], "more");
    expect(numbers(state, READY)).toEqual([9, 8]);
    state = page(state, READY, [listed(3)], null, "next");
    expect(numbers(state, READY)).toEqual([9, 8, 3]);
  });

  it("keeps its depth when the first page is fetched again", () => {
    let state = page(EMPTY_LIST, ALL, [listed(9), listed(8)], "a");
    state = page(state, ALL, [listed(7), listed(6)], "b", "next");
    state = page(state, ALL, [listed(10), listed(9)], "a");
    expect(numbers(state, ALL)).toEqual([10, 9, 8, 7, 6]);
    expect(listingOf(state, ALL).nextCursor).toBe("b");
  });

  it("begins anew from the newest page: finished jobs further down are dropped, unfinished ones are kept", () => {
    const waiting = listed(1, { status: "queued", done: false });
    let state = page(EMPTY_LIST, ALL, [listed(9), listed(8)], "a");
    state = page(state, ALL, [listed(7), waiting], "b", "next");
    state = page(state, READY, [listed(9), listed(8)], "c");
    state = reduceJobList(state, { type: "seen", jobs: [listed(12)] });
    state = page(state, ALL, [listed(11), listed(10), listed(9)], "d", "anew");
    expect(numbers(state, ALL)).toEqual([12, 11, 10, 9]);
    expect(listingOf(state, ALL).nextCursor).toBe("d");
    expect([...state.jobs.values()]).toContain(waiting);
    expect(state.jobs.size).toBe(5);
    expect(listingOf(state, READY).loaded).toBe(false);
    state = page(state, ALL, [listed(8), listed(7)], "e", "next");
    expect(numbers(state, ALL)).toEqual([12, 11, 10, 9, 8, 7]);
  });

  it("keeps the job that is looked at by itself when it begins anew, below a gap", () => {
    let state = page(EMPTY_LIST, ALL, [listed(9), listed(8)], "a");
    state = page(state, ALL, [listed(7), listed(6)], "b", "next");
    const kept = listed(7).id;
    state = reduceJobList(state, {
      type: "page",
      filter: ALL,
      jobs: [listed(11), listed(10)],
      nextCursor: "c",
      part: "anew",
      cursor: null,
      kept,
    });
    expect([...state.jobs.keys()].sort()).toEqual([kept, listed(10).id, listed(11).id].sort());
    expect(numbers(state, ALL)).toEqual([11, 10]);
  });

  it.each<[string, Filter, ListedJob[]]>([
    [
      "a few jobs",
      { ...EVERYTHING, show: "failed" },
      [listed(400, { status: "failed" }), listed(3, { status: "failed" })],
    ],
    ["none", { ...EVERYTHING, show: "failed" }, []],
    ["a search", { ...EVERYTHING, q: "lighthouse" }, [listed(400, { prompt: "only the server knows the rest" })]],
  ])("keeps a wall short that shows %s of the many that arrive", (_, filter, shown) => {
    const waiting = listed(1, { status: "queued", done: false });
    const many = Array.from({ length: 300 }, (_, index) => listed(index + 10));
    let state = page(EMPTY_LIST, filter, shown, null);
    state = reduceJobList(state, { type: "seen", jobs: [...many, waiting] });
    expect(lengthOf(state, listingOf(state, filter))).toBe(300 + shown.length);
    const before = numbers(state, filter);
    state = page(state, filter, shown, null, "anew");
    expect(numbers(state, filter)).toEqual(before);
    expect(lengthOf(state, listingOf(state, filter))).toBe(shown.length);
    expect([...state.jobs.values()]).toContain(waiting);
    // The wall of all jobs is fetched again, because some of its jobs were dropped.
    expect(listingOf(state, ALL).loaded).toBe(false);
  });

  it("takes no depth from a page that was requested before it began anew: between them there is a gap", () => {
    let state = page(EMPTY_LIST, ALL, [listed(9), listed(8)], "old");
    state = page(state, ALL, [listed(30), listed(29)], "new", "anew");
    state = page(state, ALL, [listed(7), listed(6)], "older", "next", "old");
    expect(numbers(state, ALL)).toEqual([30, 29]);
    expect(listingOf(state, ALL).nextCursor).toBe("new");
  });

  it("remembers recent deletions, but not all of them", () => {
    let state = EMPTY_LIST;
    for (let number = 0; number < 3_000; number++)
      state = reduceJobList(state, { type: "gone", id: listed(number).id });
    expect(state.gone.size).toBeLessThan(2_000);
    expect(state.gone.has(listed(2_999).id)).toBe(true);
  });

  it("moves a job out of a filter when its status no longer fits", () => {
    const running = listed(4, { status: "running", done: false });
    let state = page(EMPTY_LIST, { ...EVERYTHING, show: "active" }, [running], null);
    state = reduceJobList(state, { type: "seen", jobs: [listed(4, { seq: 2 })] });
    expect(numbers(state, { ...EVERYTHING, show: "active" })).toEqual([]);
    expect(numbers(state, ALL)).toEqual([4]);
  });

  it("says that an empty filter is loaded", () => {
    expect(listingOf(EMPTY_LIST, READY).loaded).toBe(false);
    expect(listingOf(page(EMPTY_LIST, READY, [], null), READY)).toMatchObject({ loaded: true, ended: true, jobs: [] });
  });

  it("returns the same state object when a job has no newer state", () => {
    const state = reduceJobList(EMPTY_LIST, { type: "seen", jobs: [listed(1, { seq: 5 })] });
    expect(reduceJobList(state, { type: "seen", jobs: [listed(1, { seq: 4 })] })).toBe(state);
  });
});
