import { expect, it } from "vitest";
import { NO_REASON } from "../../../schemas/job.ts";
import { retryAfterSeconds } from "./present.ts";

const now = Date.parse("2026-11-23T12:00:00.000Z");
const at = (seconds: number) => new Date(now + seconds * 1000).toISOString();
const base = { done: false, status: "queued", phase: null, queue: null, attempts: [], copyAgainAt: null } as const;
const queued = (estimate: number | null, waitingOn: "turn" | "blocked" = "turn") =>
  ({
    ...base,
    queue: {
      position: 1,
      estimatedStartAt: estimate === null ? null : at(estimate),
      waitingOn,
      reason: NO_REASON,
      detail: "",
    },
  }) as const;
const attempt = {
  number: 1,
  startedAt: at(0),
  finishedAt: null,
  durationMs: null,
  outcome: null,
  counted: true,
  mayBeBilled: false,
  stillOpen: false,
  upstream: { httpStatus: null, code: null, message: null, requestId: null, taskId: null },
};

it.each([
  ["done", { ...base, done: true, status: "succeeded" } as const, null],
  ["generating", { ...base, status: "running", phase: "generating" } as const, 3],
  ["storing", { ...base, status: "running", phase: "storing" } as const, 1],
  ["to copy again in 40 s", { ...base, status: "running", phase: "storing", copyAgainAt: at(40) } as const, 40],
  ["copying again now", { ...base, status: "running", phase: "storing", copyAgainAt: at(-1) } as const, 1],
  ["in line, to start in 12.3 s", queued(12.3), 13],
  ["in line, to start in ten minutes", queued(600), 60],
  ["in line, should have started", queued(-5), 1],
  ["in line without an estimate", queued(null), 5],
  ["in a blocked lane", queued(null, "blocked"), 60],
  ["not in line yet", base, 5],
  ["in a backoff", { ...base, status: "retrying", attempts: [{ ...attempt, retryAt: at(7) }] } as const, 7],
])("%s", (_name, view, seconds) => {
  expect(retryAfterSeconds({ ...view, attempts: [...view.attempts] }, now)).toBe(seconds);
});
