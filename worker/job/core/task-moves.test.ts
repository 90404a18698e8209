import { describe, expect, it } from "vitest";
import {
  answered,
  BUDGET_MS,
  began,
  context,
  delivered,
  FRESH,
  failure,
  image,
  jobAfter,
  LANE,
  LATE_MS,
  LIVES,
  messages,
  queued,
  report,
  T0,
} from "./jobs.fixture.ts";
import { transition } from "./machine.ts";
import { EMPTY_REPORT, type JobRecord } from "./record.ts";
import { nextAlarmAtMs } from "./schedule.ts";
import { toJobView } from "./view.ts";

const accepted = (attempt: number, taskId: string) => ({ type: "task_accepted", attempt, taskId, report }) as const;
const outcomes = (record: JobRecord) => record.attempts.map(({ outcome }) => outcome);
/** The first attempt's call is open past its budget, and the job is queued for the second. */
const inLineBesideAnOpenCall = () =>
  jobAfter(
    LIVES["retrying with an open call"]({}),
    { at: T0 + 110_000 },
    { type: "backoff_ended" },
    answered.enqueue(2),
    { at: T0 + 120_000 },
  );

describe("a task that is accepted late", () => {
  it("while the job is queued is resumed: the place is given up, and no second task is submitted", () => {
    const resumed = jobAfter(inLineBesideAnOpenCall(), { at: T0 + 120_000 }, accepted(1, "A"));
    expect(resumed.state).toMatchObject({ status: "running", phase: "generating", attempt: 2 });
    expect(resumed.task).toMatchObject({ taskId: "A", attempt: 2 });
    expect(messages(resumed, "leave")).toMatchObject([{ payload: { lane: LANE, ticketNumber: 2 } }]);
    expect(transition(resumed, began(resumed), context()).ok).toBe(false);
  });

  it("after its attempt's call was hung up is resumed, and no second task is submitted", () => {
    const waiting = jobAfter(queued(), began, { at: T0 + BUDGET_MS }, { type: "budget_ended", attempt: 1 });
    const hungUp = jobAfter(waiting, { at: T0 + LATE_MS }, { type: "late_window_ended", attempt: 1 });
    expect(hungUp.attempts[0]?.stillOpen).toBe(false);
    const late = jobAfter(hungUp, { at: T0 + LATE_MS + 100 }, accepted(1, "A"));
    expect(messages(late, "cancel_task")).toEqual([]);
    const resumed = jobAfter(late, { at: T0 + LATE_MS + 120_000 }, { type: "backoff_ended" });
    expect(resumed.task).toMatchObject({ taskId: "A", attempt: 2 });
    expect(resumed.attempts.map(({ counted }) => counted)).toEqual([true, false]);
  });

  it("after its job was canceled is canceled, and resumed by a retry when upstream did not cancel it", () => {
    const canceled = jobAfter(queued(), began, { type: "cancel" }, accepted(1, "A"));
    expect(canceled.state.status).toBe("canceled");
    expect(messages(canceled, "cancel_task")).toMatchObject([{ payload: { taskId: "A" } }]);
    const refused = jobAfter(canceled, answered.cancelTask("A", false), { type: "retry" });
    expect(refused.task).toMatchObject({ taskId: "A", attempt: 2 });
    const gone = jobAfter(canceled, answered.cancelTask("A", true), { type: "retry" });
    expect(gone).toMatchObject({ task: null, state: { status: "queued" } });
  });

  it("beside the next attempt's submission wins: the other task is canceled, and the other attempt does not count", () => {
    const both = jobAfter(
      LIVES["generating beside an open call"]({}),
      { at: T0 + 70_000 },
      accepted(1, "A"),
      accepted(2, "B"),
    );
    expect(messages(both, "cancel_task")).toMatchObject([{ payload: { taskId: "B" } }]);
    expect(outcomes(both)).toEqual(["timed_out", "canceled", null]);
    expect(both.attempts[1]).toMatchObject({ counted: false, stillOpen: false, lease: null });
    expect(both.task).toMatchObject({ taskId: "A", attempt: 3 });
    const done = jobAfter(both, { at: T0 + 80_000 }, delivered(3));
    expect(done.attempts.map(({ mayBeBilled }) => mayBeBilled)).toEqual([false, true, true]);
  });

  describe("beside the next attempt's task, which upstream does not cancel", () => {
    const both = (request: Parameters<typeof queued>[0] = { maxAttempts: 2 }) =>
      jobAfter(
        LIVES["generating beside an open call"](request),
        { at: T0 + 70_000 },
        accepted(1, "A"),
        accepted(2, "B"),
      );
    const taskFails = { type: "call_failed", attempt: 3, failure: failure() } as const;

    it("is followed by that task when it fails: no third image is asked for", () => {
      const failed = jobAfter(both(), answered.cancelTask("B", false), { at: T0 + 80_000 }, taskFails);
      expect(failed).toMatchObject({ state: { status: "retrying" }, task: { taskId: "B" }, spareTask: null });
      const resumed = jobAfter(failed, { at: T0 + 200_000 }, { type: "backoff_ended" });
      expect(resumed).toMatchObject({ state: { status: "running" }, task: { taskId: "B", attempt: 4 } });
      const done = jobAfter(resumed, { at: T0 + 201_000 }, delivered(4));
      expect(done.attempts.map(({ mayBeBilled }) => mayBeBilled)).toEqual([false, false, false, true]);
      expect(done.spareTask ?? null).toBeNull();
    });

    it("is followed by that task also before its cancellation is answered, and the cancellation is dropped", () => {
      const failed = jobAfter(both(), { at: T0 + 80_000 }, taskFails);
      expect(failed.task).toMatchObject({ taskId: "B" });
      expect(messages(failed, "cancel_task")).toEqual([]);
    });

    it("is followed by another attempt when that task was canceled", () => {
      const failed = jobAfter(both({}), answered.cancelTask("B", true), { at: T0 + 80_000 }, taskFails);
      expect(failed).toMatchObject({ state: { status: "retrying" }, task: null });
    });
  });

  it.each(["put_back", "block"] as const)("is resumed after a %s of the next attempt, not queued behind it", (how) => {
    const refused = jobAfter(LIVES["generating beside an open call"]({}), { at: T0 + 70_000 }, accepted(1, "A"), {
      type: "call_failed",
      attempt: 2,
      failure: failure({ disposition: how }),
    });
    expect(refused.state.status).toBe("retrying");
    const resumed = jobAfter(refused, { at: T0 + 200_000 }, { type: "backoff_ended" });
    expect(resumed.task).toMatchObject({ taskId: "A", attempt: 3 });
  });

  it("is resumed after a crash during the next attempt's submission", () => {
    const crashed = jobAfter(
      LIVES["generating beside an open call"]({}),
      { at: T0 + 70_000 },
      accepted(1, "A"),
      { type: "call_lost", attempt: 2 },
      { at: T0 + 200_000 },
      { type: "backoff_ended" },
    );
    expect(outcomes(crashed)).toEqual(["timed_out", "interrupted", null]);
    expect(crashed.task).toMatchObject({ taskId: "A", attempt: 3 });
  });

  it("leaves the next attempt its own budget and lease", () => {
    const ended = jobAfter(
      LIVES["generating beside an open call"]({}),
      { at: T0 + 70_000 },
      accepted(1, "A"),
      { at: T0 + 65_000 + BUDGET_MS },
      { type: "budget_ended", attempt: 2 },
    );
    expect(ended.attempts[1]).toMatchObject({ outcome: "timed_out", counted: true, lease: null });
    expect(ended.state.status).toBe("retrying");
  });
});

describe("the bill of a task", () => {
  const resumed = (request: Parameters<typeof queued>[0] = {}) =>
    jobAfter(
      LIVES.reading_task(request),
      { at: T0 + BUDGET_MS },
      { type: "budget_ended", attempt: 1 },
      { at: T0 + BUDGET_MS + 2_000 },
      { type: "backoff_ended" },
      { at: T0 + 60_000 },
    );

  it("is billed once: only the attempt that saw the task end keeps mayBeBilled", () => {
    expect(resumed().attempts[0]?.mayBeBilled).toBe(true);
    const done = jobAfter(resumed(), { at: T0 + 60_000 }, delivered(2));
    expect(done.attempts.map(({ mayBeBilled }) => mayBeBilled)).toEqual([false, true]);
  });

  it("is nothing when the task failed unbilled: with onUncertain: fail the job is tried again", () => {
    const failed = { type: "call_failed", attempt: 2, failure: failure() } as const;
    const again = jobAfter(resumed({ onUncertain: "fail" }), { at: T0 + 60_000 }, failed);
    expect(again.state.status).toBe("retrying");
    expect(again.attempts.map(({ mayBeBilled }) => mayBeBilled)).toEqual([false, false]);
  });
});

describe("a task that cannot be read", () => {
  const refusal = failure({
    disposition: "block",
    fault: "account",
    message: "DashScope does not accept the API key",
    hint: "Mend the key.",
    report: { ...EMPTY_REPORT, httpStatus: 401, code: "InvalidApiKey", requestId: "r-7" },
  });
  const unread = { type: "task_read", attempt: 1, failure: refusal } as const;

  it("says why, once, and its lane is notified when the account is at fault", () => {
    const running = LIVES.reading_task({});
    const told = jobAfter(running, unread);
    expect(told.attempts[0]?.report).toMatchObject({ httpStatus: 401, code: "InvalidApiKey", taskId: "task-1" });
    expect(messages(told, "observe")).toMatchObject([
      { payload: { lane: LANE, outcome: { kind: "blocked", code: "InvalidApiKey", hint: "Mend the key." } } },
    ]);
    expect(told.revision).toBeGreaterThan(running.revision);
    expect(jobAfter(told, unread)).toBe(told);
  });

  it("names the reason when its attempt's budget ends", () => {
    const ended = jobAfter(
      LIVES.reading_task({}),
      unread,
      { at: T0 + BUDGET_MS },
      { type: "budget_ended", attempt: 1 },
    );
    expect(ended.state).toMatchObject({
      status: "retrying",
      reason: "no answer within 45 s: its task cannot be read: DashScope does not accept the API key",
    });
  });

  it("forgets the reason when the task is read again, and writes nothing while all is well", () => {
    const running = LIVES.reading_task({});
    const read = { type: "task_read", attempt: 1, failure: null } as const;
    expect(jobAfter(running, read)).toBe(running);
    expect(jobAfter(running, unread, read).attempts[0]).toMatchObject({ cause: null, report: { code: null } });
  });

  it("sets no alarm for now while a read hangs", () => {
    const live = { ...FRESH, reading: true, pollAtMs: T0 + 1_500 };
    const nowMs = T0 + 5_000;
    expect(nextAlarmAtMs(LIVES.reading_task({}), nowMs, live)).toBeGreaterThan(nowMs);
  });
});

describe("a task that is found canceled", () => {
  const found = (attempt: number) =>
    ({ type: "task_found_canceled", attempt, failure: failure({ maxRepeats: 1, fault: "none" }) }) as const;

  it("at our own request costs a retried job no attempt", () => {
    const retried = jobAfter(LIVES.reading_task({ maxAttempts: 1 }), { type: "cancel" }, { type: "retry" });
    const again = jobAfter(retried, found(2));
    expect(again).toMatchObject({ state: { status: "queued" }, task: null });
    expect(again.attempts.at(-1)).toMatchObject({ outcome: "canceled", counted: false, mayBeBilled: false });
  });

  it("without our request is a failure", () => {
    const failed = jobAfter(LIVES.reading_task({ maxAttempts: 1 }), found(1));
    expect(failed.state).toMatchObject({ status: "failed" });
  });
});

describe("a late refusal that is not the job's fault", () => {
  it.each([
    ["block", "blocked", "blocked"],
    ["put_back", "throttled", "throttled"],
  ] as const)("(%s) is not counted, and the lane is notified", (disposition, outcome, kind) => {
    const refusal = failure({ disposition, fault: "account", mayBeBilled: false });
    const again = jobAfter(
      LIVES.awaiting_answer({}),
      { at: T0 + 60_000 },
      {
        type: "call_failed",
        attempt: 1,
        failure: refusal,
      },
    );
    expect(again.state.status).toBe("retrying");
    expect(again.attempts[0]).toMatchObject({ counted: false, mayBeBilled: false });
    expect(messages(again, "observe").map(({ payload }) => payload.outcome.kind)).toEqual([kind]);
    expect(again.log.find(({ type }) => type === "attempt.late")?.data.outcome).toBe(outcome);
  });

  it("counts against its kind's own bound when upstream is at fault", () => {
    const once = failure({ maxRepeats: 1, report: { ...EMPTY_REPORT, httpStatus: 500, code: "RequestTimeOut" } });
    const late = jobAfter(
      LIVES["generating beside an open call"]({}),
      { at: T0 + 70_000 },
      {
        type: "call_failed",
        attempt: 1,
        failure: once,
      },
    );
    const failed = jobAfter(late, { at: T0 + 80_000 }, { type: "call_failed", attempt: 2, failure: once });
    expect(failed.state.status).toBe("failed");
  });
});

describe("the place in the queue", () => {
  it.each([
    ["is canceled", { type: "cancel" }],
    ["passes its deadline", { type: "deadline_passed" }],
  ] as const)("is given up when a job %s, also before the lane has confirmed its ticket", (_what, fact) => {
    expect(messages(jobAfter(queued(), fact), "leave")).toMatchObject([{ payload: { lane: LANE, ticketNumber: 1 } }]);
  });

  it("is not given up while the settings name no lane", () => {
    const result = transition(queued(), { type: "cancel" }, context({ lane: null }));
    expect(result.ok && messages(result.record, "leave")).toEqual([]);
  });
});

describe("what a reader sees", () => {
  it("has another tag after another of several images was copied", () => {
    const delayed = jobAfter(queued({ n: 2 }), began, delivered(1, ["https://r.test/0", "https://r.test/1"]), {
      type: "store_failed",
      attempt: 1,
      index: 0,
      dead: false,
      reason: "503",
    });
    const stored = jobAfter(delayed, { type: "image_stored", attempt: 1, index: 1, image: image(1) });
    expect(toJobView(stored, null).warnings).not.toEqual(toJobView(delayed, null).warnings);
    expect(toJobView(stored, null).tag).not.toBe(toJobView(delayed, null).tag);
  });

  it("names no attempt from before a retry by hand as the cause of a deadline", () => {
    const failed = LIVES.failed({});
    const late = jobAfter(failed, { type: "retry" }, { type: "deadline_passed" });
    expect(late.state).toMatchObject({
      status: "failed",
      error: { message: "not done by its deadline", upstream: null },
    });
  });
});
