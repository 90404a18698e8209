import { describe, expect, it } from "vitest";
import type { EventData, EventType, JobEvent } from "../../schemas/event.ts";
import type { Attempt } from "../../schemas/job.ts";
import { timelineSteps } from "./timeline.ts";

const at = (second: number) => new Date(Date.UTC(2026, 10, 23, 12, 0, second)).toISOString();

function attempt(number: number, change: Partial<Attempt> = {}): Attempt {
  return {
    number,
    startedAt: at(number * 10),
    finishedAt: at(number * 10 + 3),
    durationMs: 3000,
    outcome: "failed",
    counted: true,
    mayBeBilled: false,
    stillOpen: false,
    upstream: { httpStatus: null, code: null, message: null, requestId: null, taskId: null },
    retryAt: null,
    ...change,
  };
}

function logOf(...events: readonly [second: number, type: EventType, data: EventData][]): JobEvent[] {
  return events.map(([second, type, data], index) => ({ seq: index + 1, at: at(second), type, data }));
}

const notesOf = (attempts: Attempt[], log: JobEvent[]) =>
  timelineSteps({ attempts }, log).map((step) => (step.kind === "attempt" ? step.story.notes : step.kind));

describe("timelineSteps", () => {
  it("shows only the attempts while no log is known", () => {
    expect(timelineSteps({ attempts: [attempt(1), attempt(2)] }, []).map(({ kind }) => kind)).toEqual([
      "attempt",
      "attempt",
    ]);
  });
  it("says why an attempt failed, of that attempt only", () => {
    const log = logOf([13, "job.retrying", { attempt: 1, reason: "the connection broke" }]);
    expect(notesOf([attempt(1), attempt(2)], log)).toEqual([["The connection broke."], []]);
  });
  it("says why an attempt got no answer within the budget", () => {
    const slow = attempt(1, { outcome: "timed_out" });
    const plain = logOf([13, "job.retrying", { attempt: 1, reason: "no answer within 45 s" }]);
    expect(notesOf([slow], plain)).toEqual([["No answer within 45 s."]]);
    const why = logOf([13, "job.retrying", { attempt: 1, reason: "no answer within 45 s: its task cannot be read" }]);
    expect(notesOf([slow], why)).toEqual([["No answer within 45 s: its task cannot be read."]]);
  });
  it("says that an attempt resumed the task of an earlier one", () => {
    const upstream = { ...attempt(1).upstream, taskId: "task-1" };
    const other = attempt(3, { upstream: { ...upstream, taskId: "task-2" } });
    const [first, second, third] = notesOf([attempt(1, { upstream }), attempt(2, { upstream }), other], []);
    expect([first, third]).toEqual([[], []]);
    expect(second).toEqual([expect.stringMatching(/^Goes on with the task of attempt 1/)]);
  });
  it("puts the copying of a delivery and a retry by hand where they happened, failed copies in one step", () => {
    const failed = { attempt: 1, images: 1, retryAt: at(20) };
    const log = logOf(
      [13, "job.storing", { attempt: 1, images: 2 }],
      [14, "job.storing", { ...failed, reason: "answered 503" }],
      [15, "job.storing", { ...failed, reason: "answered 404" }],
      [16, "job.retried", {}],
      [17, "job.storing", { attempt: 1, images: 2, reason: "upstream had delivered already" }],
    );
    const steps = timelineSteps({ attempts: [attempt(1, { outcome: "succeeded" })] }, log);
    expect(steps.map(({ kind }) => kind)).toEqual(["attempt", "copying", "retried", "copying"]);
    expect(steps[1]).toMatchObject({
      title: "Delivered: copying 2 images",
      notes: ["2 copies failed, the last: answered 404."],
    });
    expect(steps[3]).toMatchObject({ notes: ["Upstream had delivered already."] });
  });
});
