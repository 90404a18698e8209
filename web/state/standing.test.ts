import { describe, expect, it } from "vitest";
import { NO_REASON, type QueuePlace, type QueueReason } from "../../schemas/job.ts";
import { ordinal, standingOf, waitReason } from "./standing.ts";

const NOW_MS = Date.parse("2026-11-23T12:00:00.000Z");

function job(change: Partial<Parameters<typeof standingOf>[0]>): Parameters<typeof standingOf>[0] {
  const fresh = {
    status: "queued",
    queue: null,
    phase: null,
    error: null,
    retryAt: null,
    attempts: 0,
    output: null,
  } as const;
  return { ...fresh, done: false, ...change };
}

function place(change: Partial<QueuePlace>): QueuePlace {
  return {
    position: 4,
    estimatedStartAt: null,
    waitingOn: "quota",
    reason: NO_REASON,
    detail: "4th in line",
    ...change,
  };
}

describe("standingOf", () => {
  it("says the place and counts down to the estimated start", () => {
    const queue = place({ estimatedStartAt: "2026-11-23T12:01:05.000Z" });
    expect(standingOf(job({ queue }), NOW_MS)).toEqual({
      tone: "waiting",
      title: "4th in line",
      detail: "starts in about 1:05 min",
    });
  });
  it("says `About` for a place further back, which may be 30 s old", () => {
    const titles = [5, 6, 21].map((position) => standingOf(job({ queue: place({ position }) }), NOW_MS).title);
    expect(titles).toEqual(["5th in line", "About 6th in line", "About 21st in line"]);
  });
  it("does not count below zero", () => {
    const queue = place({ position: 1, estimatedStartAt: "2026-11-23T11:59:00.000Z" });
    expect(standingOf(job({ queue }), NOW_MS)).toMatchObject({ title: "Next in line", detail: "starts any moment" });
  });
  it("says when and why another attempt follows", () => {
    const queue = place({
      position: null,
      waitingOn: "backoff",
      estimatedStartAt: "2026-11-23T12:00:12.000Z",
      reason: { ...NO_REASON, failure: "the connection broke" },
    });
    expect(standingOf(job({ status: "retrying", attempts: 2, queue }), NOW_MS)).toEqual({
      tone: "retrying",
      title: "Attempt 3 in 12 s",
      detail: "the connection broke",
    });
  });
  it("shows the hint of a blocked lane, whether the job is queued or retrying", () => {
    const blockedBy = { code: "InvalidApiKey", hint: "The key belongs to another region" };
    const nextProbeAt = new Date(NOW_MS + 20_000).toISOString();
    const queue = place({ waitingOn: "blocked", reason: { ...NO_REASON, blockedBy, nextProbeAt } });
    for (const status of ["queued", "retrying"] as const) {
      expect(standingOf(job({ status, queue }), NOW_MS)).toEqual({
        tone: "blocked",
        title: "On hold: InvalidApiKey",
        detail: "The key belongs to another region. One job is tried in 20 s; all go on once it gets through.",
      });
    }
  });
  it("shows that an operator paused the lane, why and for how long", () => {
    const pausedUntil = new Date(NOW_MS + 90_000).toISOString();
    const reason = { ...NO_REASON, pausedBecause: "budget review", pausedUntil };
    expect(standingOf(job({ queue: place({ waitingOn: "paused", reason }) }), NOW_MS)).toEqual({
      tone: "blocked",
      title: "Paused by the operator",
      detail: "Budget review. It goes on in 1:30 min.",
    });
  });
  it.each<[Partial<QueueReason>, string | null]>([
    [{}, null],
    [{ starts: 2, periodMs: 60_000 }, "The account allows 2 starts a minute."],
    [
      { starts: 2, periodMs: 60_000, pace: 0.5 },
      "The account allows 2 starts a minute; upstream throttled, so the lane uses 50 % of that.",
    ],
    [{ inProgress: 5, inProgressLimit: 5 }, "5 of 5 jobs run, which is all that the account allows at once."],
    [{ failuresInARow: 5 }, "Upstream failed 5 times in a row, so the lane tries one job at a time."],
  ])("explains the wait by %j as %j", (reason, words) => {
    expect(waitReason({ queue: place({ reason: { ...NO_REASON, ...reason } }) })).toBe(words);
  });
  it("prefers the lane's own report to the job's", () => {
    const queue = place({ waitingOn: "blocked" });
    const block = {
      code: "InvalidApiKey",
      hint: "Set another key",
      since: new Date(NOW_MS - 60_000).toISOString(),
      nextProbeAt: new Date(NOW_MS + 41_000).toISOString(),
    };
    expect(standingOf(job({ queue }), NOW_MS, block)).toEqual({
      tone: "blocked",
      title: "On hold: InvalidApiKey",
      detail: "Set another key. One job is tried in 41 s; all go on once it gets through.",
    });
    expect(standingOf(job({ queue: place({}) }), NOW_MS, block).tone).toBe("waiting");
  });
  it("distinguishes generating from storing", () => {
    expect(standingOf(job({ status: "running", phase: "generating" }), NOW_MS).title).toBe("Developing");
    expect(standingOf(job({ status: "running", phase: "storing" }), NOW_MS).title).toBe("Fixing the print");
    const retryAt = new Date(NOW_MS + 12_000).toISOString();
    const delayed = job({ status: "running", phase: "storing", retryAt });
    expect(standingOf(delayed, NOW_MS).detail).toBe("fetching it failed, again in 12 s");
    expect(standingOf(delayed, NOW_MS + 13_000).detail).toBe("fetching it failed, trying again");
  });
  it("gives the message and the hint of a failure", () => {
    const error = {
      code: "content_rejected",
      message: "Refused.",
      hint: "Change the prompt.",
      upstream: null,
    } as const;
    expect(standingOf(job({ status: "failed", done: true, error }), NOW_MS)).toEqual({
      tone: "failed",
      title: "Refused.",
      detail: "Change the prompt.",
    });
  });
});

describe("ordinal", () => {
  it.each([
    [1, "1st"],
    [2, "2nd"],
    [3, "3rd"],
    [4, "4th"],
    [11, "11th"],
    [12, "12th"],
    [21, "21st"],
    [112, "112th"],
  ])("%d → %s", (position, words) => expect(ordinal(position)).toBe(words));
});
