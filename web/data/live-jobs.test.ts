import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EVERYTHING, type Filter } from "../state/filter.ts";
import { EMPTY_LIST, listingOf } from "../state/job-list.ts";
import { LISTED } from "../state/listed-job.fixture.ts";
import type { ListedJob } from "../state/listed-job.ts";

vi.hoisted(() => {
  vi.stubGlobal("location", new URL("https://darkroom.example"));
  vi.stubGlobal("window", globalThis);
});

const { jobList, learnJobs, loadFirstPage, PAGE_JOBS, shortenList } = await import("./live-jobs.ts");
const { ListRounds } = await import("./list-round.ts");

const FAILED: Filter = { ...EVERYTHING, show: "failed" };

/** Jobs are numbered by age: the higher the newer. */
function ended(number: number, status: "succeeded" | "failed" = "succeeded"): ListedJob {
  const id = `job_${String(number).padStart(21, "0")}`;
  return { ...LISTED, id, status, createdAt: new Date(Date.UTC(2026, 10, 23, 12, 0, number)).toISOString() };
}

/** What the server has, newest first. */
let stored: ListedJob[];
/** The calls so far. */
let calls: number;
/** Calls are answered once this resolves. */
let held: Promise<void>;

function store(from: number, to: number): void {
  for (let number = from; number < to; number += 1) stored.unshift(ended(number));
}

async function answer(address: string): Promise<Response> {
  calls += 1;
  await held;
  const query = new URL(address).searchParams;
  const status = query.get("status");
  const limit = Number(query.get("limit"));
  const from = Number(query.get("cursor") ?? 0);
  const found = stored.filter((job) => status === null || status.split(",").includes(job.status));
  const nextCursor = from + limit < found.length ? String(from + limit) : null;
  return Response.json({ jobs: found.slice(from, from + limit), nextCursor, feedCursor: null });
}

const shown = (filter: Filter) => listingOf(jobList.get(), filter).jobs.map(({ id }) => Number(id.slice(4)));

beforeEach(() => {
  stored = [ended(2, "failed"), ended(1, "failed")];
  store(10, 60);
  calls = 0;
  held = Promise.resolve();
  jobList.set(EMPTY_LIST);
  vi.stubGlobal("fetch", answer);
});

afterEach(() => {
  vi.stubGlobal("fetch", undefined);
});

describe("shortening the list", () => {
  it("drops what the filter does not show", async () => {
    await loadFirstPage(EVERYTHING);
    await shortenList(FAILED, () => true);
    expect(shown(FAILED)).toEqual([2, 1]);
    expect(jobList.get().jobs.size).toBe(2);
    expect(listingOf(jobList.get(), EVERYTHING).loaded).toBe(false);
  });

  it("drops nothing when jobs may no longer be dropped once the page arrives", async () => {
    const answered = Promise.withResolvers<void>();
    held = answered.promise;
    let shows = FAILED;
    const shortened = shortenList(FAILED, () => shows === FAILED);
    expect(calls).toBe(1);
    held = Promise.resolve();
    shows = EVERYTHING;
    await loadFirstPage(EVERYTHING);
    const before = shown(EVERYTHING);
    expect(before).toHaveLength(PAGE_JOBS);
    answered.resolve();
    await shortened;
    expect(shown(EVERYTHING)).toEqual(before);
    expect(listingOf(jobList.get(), EVERYTHING).loaded).toBe(true);
    // The jobs of the late page are kept.
    expect(shown(FAILED)).toEqual([2, 1]);
  });

  it("asks for nothing while jobs may not be dropped", async () => {
    await shortenList(FAILED, () => false);
    expect(calls).toBe(0);
  });

  it("fetches one page for a burst of requests, and again afterwards, after a failure too", async () => {
    const burst = () => Promise.allSettled([1, 2, 3].map(() => shortenList(EVERYTHING, () => true)));
    await burst();
    expect(calls).toBe(1);
    vi.stubGlobal("fetch", async () => {
      calls += 1;
      return new Response("", { status: 400 });
    });
    const [first] = await burst();
    expect(first?.status).toBe("rejected");
    expect(calls).toBe(2);
    vi.stubGlobal("fetch", answer);
    await burst();
    expect(calls).toBe(3);
  });
});

describe("rounds over the lists", () => {
  const { signal } = new AbortController();

  it("continue after the list was shortened to jobs that are all far down", async () => {
    const rounds = new ListRounds();
    expect(await rounds.next(signal)).toBe("on");
    await shortenList(FAILED, () => true);
    store(60, 62);
    expect(await rounds.next(signal)).toBe("on");
    expect(shown(FAILED)).toEqual([2, 1]);
    expect(shown(EVERYTHING)).toContain(61);
  });

  it("begin anew when more jobs are new than the newest page holds, although one of them is known", async () => {
    const rounds = new ListRounds();
    await rounds.next(signal);
    store(60, 60 + 2 * PAGE_JOBS);
    learnJobs(stored.slice(0, 1));
    expect(await rounds.next(signal)).toBe("anew");
    expect(await rounds.next(signal)).toBe("on");
  });

  it("begin anew when an empty list gets more jobs than its newest page holds", async () => {
    stored = [];
    const rounds = new ListRounds();
    await rounds.next(signal);
    store(1, 2 + PAGE_JOBS);
    expect(await rounds.next(signal)).toBe("anew");
    expect(await rounds.next(signal)).toBe("on");
  });
});
