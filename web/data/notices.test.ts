import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Tone } from "../state/standing.ts";
import { announce, announceChange, announcement } from "./notices.ts";

let said: string[] = [];
let unsubscribe = () => {};

beforeEach(() => {
  vi.useFakeTimers();
  said = [];
  unsubscribe = announcement.subscribe(() => said.push(announcement.get().words));
});

afterEach(() => {
  unsubscribe();
  vi.useRealTimers();
});

function change(jobId: string, tone: Tone): void {
  announceChange(jobId, { tone, words: `“${jobId}” is ${tone}` });
}

it("announces a few changes of jobs one by one, for each job the latest", () => {
  change("a boat", "running");
  vi.advanceTimersByTime(500);
  change("a boat", "ready");
  change("a ship", "failed");
  vi.advanceTimersByTime(10_000);
  expect(said).toEqual(["“a boat” is ready. “a ship” is failed"]);
});

it("makes one announcement of many jobs that change within a second, and counts them", () => {
  for (let number = 0; number < 40; number += 1) {
    change(`boat ${number}`, number % 20 === 0 ? "failed" : "ready");
    vi.advanceTimersByTime(24);
  }
  change("ship", "canceled");
  vi.advanceTimersByTime(10_000);
  expect(said).toEqual(["38 jobs are ready. 2 jobs failed. 1 job was canceled"]);
});

it("announces a change more than a second later separately", () => {
  change("a boat", "ready");
  vi.advanceTimersByTime(5_000);
  change("a ship", "ready");
  vi.advanceTimersByTime(5_000);
  expect(said).toEqual(["“a boat” is ready", "“a ship” is ready"]);
});

it("does not hold back the answer to a press for changes of jobs", () => {
  change("a boat", "ready");
  announce("Deleted");
  vi.advanceTimersByTime(500);
  expect(said).toEqual(["Deleted"]);
  vi.advanceTimersByTime(10_000);
  expect(said).toEqual(["Deleted", "“a boat” is ready"]);
});
