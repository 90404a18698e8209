import { describe, expect, it } from "vitest";
import type { JobEvent } from "../../schemas/event.ts";
import type { Attempt, Job } from "../../schemas/job.ts";
import type { Usage } from "../../schemas/usage.ts";
import type { JobEvidence, UpstreamEvidence } from "./evidence.ts";
import type { PlannedJob } from "./plan.ts";
import { planCrash } from "./plan.ts";
import { judgeBooks, judgeJob } from "./verdict.ts";

const AT = Date.parse("2026-11-23T12:00:00.000Z");
const at = (seconds: number) => new Date(AT + seconds * 1000).toISOString();

const planned: PlannedJob = {
  name: "crash-1-0001",
  kind: "text",
  n: 1,
  priority: "normal",
  deed: "none",
  deedAfterMs: [0, 0],
};

const upstream = { httpStatus: 200, code: null, message: null, requestId: "r1", taskId: null };
function attempt(patch: Partial<Attempt> = {}): Attempt {
  return {
    number: 1,
    startedAt: at(0),
    finishedAt: at(1),
    durationMs: 1000,
    outcome: "succeeded",
    counted: true,
    mayBeBilled: true,
    stillOpen: false,
    upstream,
    retryAt: null,
    ...patch,
  };
}

function log(...types: readonly (JobEvent["type"] | [JobEvent["type"], JobEvent["data"]])[]): JobEvent[] {
  return types.map((entry, index) => {
    const [type, data] = typeof entry === "string" ? [entry, {}] : entry;
    return { seq: index + 1, at: at(index), type, data };
  });
}

const GOOD_LOG = log("job.queued", "attempt.started", "attempt.finished", "job.storing", "job.succeeded");

/** The cost of a job at 0.075 an image, with this many images delivered and this many attempts at risk. */
const cost = (images: number, risks = 0) => ({
  currency: "USD",
  estimated: 0.075,
  charged: images * 0.075,
  atRisk: risks * 0.075,
});

/** The evidence of a job; only the fields that the judge reads have meaningful values. */
function evidence(patch: Partial<JobEvidence> = {}, job: Partial<Job> = {}): JobEvidence {
  const events = patch.events ?? GOOD_LOG;
  const output = { images: [{ index: 0, sha256: "aa", url: "", contentType: "", width: 1, height: 1, bytes: 1 }] };
  const seen = {
    status: "succeeded",
    done: true,
    seq: events.at(-1)?.seq,
    attempts: [attempt()],
    request: { maxAttempts: 10, n: 1 },
    cost: cost(1),
    output,
    error: null,
    ...job,
  };
  return {
    planned,
    id: "job_1",
    deletedAtMs: null,
    logged: { startsBefore: 0, startsAfter: 0 },
    httpStatus: 200,
    job: seen as unknown as Job,
    events,
    images: [{ index: 0, sha256: "aa" }],
    listedAs: [seen.status],
    ...patch,
  };
}

/** Upstream's evidence: one entry for each submission, with the image that it billed. */
function seenUpstream(...calls: readonly { atMs?: number; taskId?: string; sha256?: string }[]): UpstreamEvidence {
  const submits = calls.map(({ atMs = AT }, index) => ({ id: index + 1, atMs, kind: "submit" }));
  const images = calls.flatMap(({ sha256, taskId = null }, index) =>
    sha256 === undefined ? [] : [{ callId: index + 1, taskId, sha256 }],
  );
  return { submits, images } as unknown as UpstreamEvidence;
}

const kinds = (job: JobEvidence, seen = seenUpstream({ sha256: "aa" })) => judgeJob(job, seen).map(({ kind }) => kind);

describe("the judge of a crash run", () => {
  it("finds nothing wrong with a job that succeeded", () => {
    expect(judgeJob(evidence(), seenUpstream({ sha256: "aa" }))).toEqual([]);
  });

  it.each([
    ["that is not found", evidence({ job: null, httpStatus: 404, listedAs: [] })],
    ["that is in no list", evidence({ listedAs: [] })],
  ])("calls a job lost %s", (_name, job) => expect(kinds(job)).toContain("lost"));

  it("calls an unfinished job stuck", () => {
    expect(kinds(evidence({ listedAs: ["running"] }, { status: "running", done: false }))).toContain("stuck");
  });

  it("notices an event after a final one, unless a retry is between them", () => {
    const twice = log("job.queued", "attempt.started", "job.succeeded", "job.succeeded");
    expect(kinds(evidence({ events: twice }))).toContain("finished twice");
    const retried = log("job.queued", "job.canceled", "job.retried", "attempt.started", "job.storing", "job.succeeded");
    expect(kinds(evidence({ events: retried }))).toEqual([]);
  });

  it("notices a gap in the log, and a log that does not reach the job's seq", () => {
    const gap = GOOD_LOG.filter(({ seq }) => seq !== 3);
    expect(kinds(evidence({ events: gap }))).toContain("log broken");
    expect(kinds(evidence({}, { seq: 9 }))).toContain("log broken");
  });

  it("notices an attempt after the links were stored", () => {
    const events = log(
      "job.queued",
      "attempt.started",
      "job.storing",
      "attempt.started",
      "job.storing",
      "job.succeeded",
    );
    expect(kinds(evidence({ events }), seenUpstream({ sha256: "aa" }, {}))).toContain("paid again");
  });

  it("allows an attempt after the links have ended", () => {
    const lost = { error: { code: "result_lost" as const, message: "", hint: "", upstream: null } };
    const events = log(
      "job.queued",
      "attempt.started",
      "job.storing",
      ["job.failed", lost],
      "job.retried",
      "attempt.started",
      "job.storing",
      "job.succeeded",
    );
    const attempts = [attempt(), attempt({ number: 2 })];
    const twice = evidence({ events }, { attempts, cost: cost(2) });
    expect(kinds(twice, seenUpstream({ sha256: "bb" }, { sha256: "aa" }))).toEqual([]);
  });

  it("notices a new attempt although the task that made images was stored", () => {
    const known = { attempt: 1, upstream: { ...upstream, taskId: "t1" } };
    const attempts = [
      attempt({ outcome: "timed_out", upstream: { ...upstream, taskId: "t1" } }),
      attempt({ number: 2, outcome: "succeeded" }),
    ];
    const again = (data: JobEvent["data"]) =>
      evidence(
        {
          events: log(
            "job.queued",
            ["attempt.started", { attempt: 1 }],
            ["attempt.finished", known],
            ["attempt.started", { attempt: 2, ...data }],
            "job.storing",
            "job.succeeded",
          ),
        },
        { attempts },
      );
    expect(kinds(again({}), seenUpstream({ taskId: "t1", sha256: "bb" }, { sha256: "aa" }))).toContain("paid again");
    const resumed = again({ reason: "resumes the upstream task of an earlier attempt" });
    expect(kinds(resumed, seenUpstream({ taskId: "t1", sha256: "aa" }))).toEqual([]);
  });

  it("notices a call without a recorded attempt, and a bill without `mayBeBilled`", () => {
    expect(kinds(evidence(), seenUpstream({ sha256: "aa" }, {}))).toEqual(["paid again"]);
    const events = log("job.queued", "attempt.started", "attempt.started", "job.storing", "job.succeeded");
    const attempts = [attempt({ outcome: "failed", mayBeBilled: false }), attempt({ number: 2 })];
    const paidTwice = seenUpstream({ sha256: "bb" }, { sha256: "aa" });
    expect(kinds(evidence({ events }, { attempts }), paidTwice)).toEqual(["paid again", "wrong bill"]);
    const owned = [attempt({ outcome: "interrupted" }), attempt({ number: 2 })];
    expect(kinds(evidence({ events }, { attempts: owned, cost: cost(1, 1) }), paidTwice)).toEqual([]);
  });

  it("notices wrong bytes: fetched bytes that differ, and bytes that upstream never made", () => {
    expect(kinds(evidence({ images: [{ index: 0, sha256: "zz" }] }))).toEqual(["wrong bytes"]);
    expect(kinds(evidence({ images: [{ index: 0, sha256: null }] }))).toEqual(["wrong bytes"]);
    expect(kinds(evidence(), seenUpstream({ sha256: "bb" }))).toEqual(["wrong bytes"]);
    expect(kinds(evidence({}, { output: null }))).toEqual(["wrong bytes"]);
  });

  it.each([
    ["less is charged than billed, and nothing at risk", cost(0), ["wrong bill"]],
    ["more is charged than billed", cost(2), ["wrong bill"]],
    ["the job has no cost", null, ["wrong bill"]],
    ["all of it is at risk", cost(0, 1), []],
    ["more is at risk than billed", cost(1, 3), []],
  ])("compares a job's cost with upstream's bill: %s", (_name, given, found) => {
    expect(kinds(evidence({}, { cost: given }))).toEqual(found);
  });

  it("compares the client's books with upstream's bill, and the limit with the used amount", () => {
    const books = (change: object = {}, budget: object = {}) =>
      ({
        currency: "USD",
        buckets: [
          { start: at(0), end: at(1), results: [{ jobs: 3, images: 2, charged: 0.15, atRisk: 0.075, ...change }] },
        ],
        budget: { client: "a", limit: 0.3, alertAt: 0.8, charged: 0.15, reserved: 0, atRisk: 0.075, ...budget },
      }) as unknown as Usage;
    const details = (usage: Usage, billed: number) => judgeBooks(usage, billed).map(({ detail }) => detail);
    for (const billed of [0.15, 0.18, 0.225]) expect(details(books(), billed)).toEqual([]);
    for (const billed of [0.149, 0.226]) expect(details(books(), billed)).toEqual([expect.stringContaining("billed")]);
    expect(details(books({}, { reserved: 0.075 }), 0.15)).toEqual([expect.stringContaining("reserved")]);
    expect(details(books({}, { limit: 0.2 }), 0.15)).toEqual([expect.stringContaining("limit")]);
    expect(details({ ...books(), budget: null }, 0.15)).toEqual(["there is no limit"]);
  });

  it("notices a deleted job that answers, is listed, or makes calls", () => {
    const gone = { deletedAtMs: AT + 5_000, httpStatus: 410, job: null, events: [], images: [], listedAs: [] };
    expect(kinds(evidence(gone))).toEqual([]);
    expect(kinds(evidence({ ...gone, httpStatus: 200 }))).toEqual(["wrong end"]);
    expect(kinds(evidence({ ...gone, listedAs: ["running"] }))).toEqual(["wrong end"]);
    expect(kinds(evidence(gone), seenUpstream({ atMs: AT + 6_000 }))).toEqual(["paid again"]);
    const begun = { ...gone, logged: { startsBefore: 1, startsAfter: 0 } };
    expect(kinds(evidence(begun), seenUpstream({ atMs: AT + 6_000 }))).toEqual([]);
    expect(kinds(evidence(begun), seenUpstream({ atMs: AT + 1_000 }, { atMs: AT + 6_000 }))).toEqual(["paid again"]);
    const begunAfter = { ...gone, logged: { startsBefore: 1, startsAfter: 1 } };
    expect(kinds(evidence(begunAfter), seenUpstream({ atMs: AT + 1_000 }))).toEqual(["paid again"]);
  });

  it("notices an end that nobody asked for", () => {
    const canceled = { status: "canceled", output: null } as const;
    expect(kinds(evidence({ listedAs: ["canceled"] }, canceled))).toEqual(["wrong end"]);
    expect(kinds(evidence({ listedAs: ["running"] }))).toEqual(["wrong end"]);
  });
});

describe("the plan of a crash run", () => {
  it("is the same for the same seed, and different for another", () => {
    expect(planCrash(7, 50, 10, 20)).toEqual(planCrash(7, 50, 10, 20));
    expect(planCrash(8, 50, 10, 20)).not.toEqual(planCrash(7, 50, 10, 20));
  });

  it("holds every kind of job and deed, and has submitted all by its last kill", () => {
    const { jobs, kills } = planCrash(7, 300, 100, 24);
    expect(new Set(jobs.map(({ kind }) => kind)).size).toBe(4);
    expect(new Set(jobs.map(({ deed }) => deed)).size).toBe(4);
    expect(kills.at(-1)?.submitted).toBe(300);
    expect(kills.map(({ part }) => part)).toContain("all");
  });
});
