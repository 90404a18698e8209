import { describe, expect, it } from "vitest";
import type { JobFact } from "./job-fact.ts";
import { attemptOf, type JobRecord } from "./job-record.ts";
import {
  BUDGET_MS,
  began,
  context,
  delivered,
  failure,
  image,
  jobAfter,
  LANE,
  LATE_MS,
  LIVES,
  queued,
  report,
  T0,
} from "./test-jobs.ts";
import { transition } from "./transition.ts";

const HOUR = 3_600_000;

/** Every fact, naming attempt 1 where it names one, put to a job of each kind a good hour after its submit. */
const FACTS: Readonly<Record<string, (record: JobRecord) => JobFact>> = {
  enqueued: (record) => ({ type: "enqueued", lane: LANE, round: record.round }),
  attempt_began: began,
  task_accepted: () => ({ type: "task_accepted", attempt: 1, taskId: "task-9", report }),
  delivered: () => delivered(1),
  "call_failed retry": () => ({ type: "call_failed", attempt: 1, failure: failure() }),
  "call_failed give_up": () => ({ type: "call_failed", attempt: 1, failure: failure({ disposition: "give_up" }) }),
  "call_failed put_back": () => ({ type: "call_failed", attempt: 1, failure: failure({ disposition: "put_back" }) }),
  "call_failed block": () => ({ type: "call_failed", attempt: 1, failure: failure({ disposition: "block" }) }),
  task_lost: () => ({ type: "task_lost", attempt: 1, failure: failure() }),
  call_lost: () => ({ type: "call_lost", attempt: 1 }),
  budget_ended: () => ({ type: "budget_ended", attempt: 1 }),
  late_window_ended: () => ({ type: "late_window_ended", attempt: 1 }),
  image_stored: () => ({ type: "image_stored", attempt: 1, index: 0, image: image() }),
  store_failed: () => ({ type: "store_failed", attempt: 1, index: 0, dead: false, reason: "503" }),
  "store_failed dead": () => ({ type: "store_failed", attempt: 1, index: 0, dead: true, reason: "403" }),
  backoff_ended: () => ({ type: "backoff_ended" }),
  deadline_passed: () => ({ type: "deadline_passed" }),
  cancel: () => ({ type: "cancel" }),
  retry: () => ({ type: "retry" }),
};

/** What each (life × fact) leads to; a pair that is not named is refused as stale. `unseen`: no reader can tell. */
const TABLE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  queued: {
    enqueued: "queued, unseen",
    attempt_began: "running generating",
    task_accepted: "queued, unseen",
    deadline_passed: "failed",
    cancel: "canceled",
    retry: "refused: not_finished",
  },
  "queued in lane": {
    enqueued: "queued, unseen",
    attempt_began: "running generating",
    task_accepted: "queued, unseen",
    deadline_passed: "failed",
    cancel: "canceled",
    retry: "refused: not_finished",
  },
  generating: {
    enqueued: "running generating, unseen",
    task_accepted: "running generating",
    delivered: "running storing",
    "call_failed retry": "retrying",
    "call_failed give_up": "failed",
    "call_failed put_back": "queued",
    "call_failed block": "queued",
    task_lost: "retrying",
    call_lost: "retrying",
    budget_ended: "retrying",
    deadline_passed: "failed",
    cancel: "canceled",
    retry: "refused: not_finished",
  },
  "generating a task": {
    enqueued: "running generating, unseen",
    task_accepted: "running generating, unseen",
    delivered: "running storing",
    "call_failed retry": "retrying",
    "call_failed give_up": "failed",
    "call_failed put_back": "queued",
    "call_failed block": "queued",
    task_lost: "retrying",
    budget_ended: "retrying",
    deadline_passed: "failed",
    cancel: "canceled",
    retry: "refused: not_finished",
  },
  storing: {
    enqueued: "running storing, unseen",
    task_accepted: "running storing, unseen",
    image_stored: "succeeded",
    store_failed: "running storing",
    "store_failed dead": "failed",
    cancel: "canceled",
    retry: "refused: not_finished",
  },
  "retrying after a failure": {
    enqueued: "retrying, unseen",
    task_accepted: "retrying, unseen",
    backoff_ended: "queued",
    deadline_passed: "failed",
    cancel: "canceled",
    retry: "refused: not_finished",
  },
  "retrying with an open call": {
    enqueued: "retrying, unseen",
    task_accepted: "retrying",
    delivered: "running storing",
    "call_failed retry": "retrying",
    "call_failed give_up": "failed",
    "call_failed put_back": "retrying",
    "call_failed block": "retrying",
    task_lost: "retrying",
    call_lost: "retrying",
    late_window_ended: "retrying",
    backoff_ended: "queued",
    deadline_passed: "failed",
    cancel: "canceled",
    retry: "refused: not_finished",
  },
  "running beside an open call": {
    enqueued: "running generating, unseen",
    task_accepted: "running generating",
    delivered: "running storing",
    "call_failed retry": "running generating",
    "call_failed give_up": "failed",
    "call_failed put_back": "running generating",
    "call_failed block": "running generating",
    task_lost: "running generating",
    call_lost: "running generating",
    late_window_ended: "running generating",
    deadline_passed: "failed",
    cancel: "canceled",
    retry: "refused: not_finished",
  },
  "waiting for an open call": {
    enqueued: "running generating, unseen",
    task_accepted: "running generating",
    delivered: "running storing",
    "call_failed retry": "failed",
    "call_failed give_up": "failed",
    "call_failed put_back": "retrying",
    "call_failed block": "retrying",
    task_lost: "failed",
    call_lost: "failed",
    late_window_ended: "failed",
    deadline_passed: "failed",
    cancel: "canceled",
    retry: "refused: not_finished",
  },
  succeeded: {
    enqueued: "succeeded, unseen",
    task_accepted: "succeeded, unseen",
    delivered: "refused: finished",
    "call_failed retry": "refused: finished",
    "call_failed give_up": "refused: finished",
    "call_failed put_back": "refused: finished",
    "call_failed block": "refused: finished",
    task_lost: "refused: finished",
    deadline_passed: "refused: finished",
    cancel: "refused: finished",
    retry: "refused: finished",
  },
  failed: {
    enqueued: "failed, unseen",
    task_accepted: "failed, unseen",
    delivered: "refused: finished",
    "call_failed retry": "refused: finished",
    "call_failed give_up": "refused: finished",
    "call_failed put_back": "refused: finished",
    "call_failed block": "refused: finished",
    task_lost: "refused: finished",
    deadline_passed: "refused: finished",
    cancel: "refused: finished",
    retry: "queued",
  },
  canceled: {
    enqueued: "canceled, unseen",
    task_accepted: "canceled, unseen",
    delivered: "refused: finished",
    "call_failed retry": "refused: finished",
    "call_failed give_up": "refused: finished",
    "call_failed put_back": "refused: finished",
    "call_failed block": "refused: finished",
    task_lost: "refused: finished",
    deadline_passed: "refused: finished",
    cancel: "canceled, unseen",
    retry: "queued",
  },
};

function outcomeOf(life: string, name: string): string {
  const before = LIVES[life]?.();
  const fact = FACTS[name];
  if (before === undefined || fact === undefined) throw new Error(`${life} × ${name}`);
  const result = transition(before, fact(before), context({ nowMs: T0 + HOUR }));
  if (!result.ok) return `refused: ${result.refusal}`;
  const { state } = result.record;
  const phase = state.status === "running" ? ` ${state.phase}` : "";
  return result.record.revision === before.revision ? `${state.status}${phase}, unseen` : `${state.status}${phase}`;
}

describe("transition, every life × every fact", () => {
  it.each(Object.keys(LIVES))("%s", (life) => {
    const named = TABLE[life] ?? {};
    const expected = Object.fromEntries(Object.keys(FACTS).map((name) => [name, named[name] ?? "refused: stale"]));
    expect(Object.fromEntries(Object.keys(FACTS).map((name) => [name, outcomeOf(life, name)]))).toEqual(expected);
  });
});

describe("budget and late answers", () => {
  it("asks for no second image before a model that needs two budgets has answered", () => {
    const late = LIVES["retrying with an open call"]?.() ?? queued();
    expect(late.state.status === "retrying" && late.state.retryAtMs - T0).toBeGreaterThanOrEqual(2.2 * BUDGET_MS);
  });

  it.each([
    ["a short window for late answers", BUDGET_MS * 1.5, BUDGET_MS * 1.5],
    ["a window that ends with the budget, nearly", BUDGET_MS + 1, BUDGET_MS * (4 / 3)],
  ])("waits with %s until it ends, and a third of the budget at least", (_name, lateAnswerMs, retryAtMs) => {
    const settings = { lateAnswerMs, jitter: 0 };
    const running = transition(queued(), began(queued()), context(settings));
    if (!running.ok) throw new Error(running.refusal);
    const at = context({ ...settings, nowMs: T0 + BUDGET_MS });
    const ended = transition(running.record, { type: "budget_ended", attempt: 1 }, at);
    expect(ended.ok && ended.record.state).toMatchObject({ status: "retrying", retryAtMs: T0 + retryAtMs });
  });

  it.each([
    ["fails after all", { type: "call_failed", attempt: 1, failure: failure() }],
    ["is lost with its process", { type: "call_lost", attempt: 1 }],
  ] as const)("waits no longer for an open call that %s", (_name, fact) => {
    const late = LIVES["retrying with an open call"]?.() ?? queued();
    const closed = jobAfter(late, { at: T0 + BUDGET_MS + 1_000 }, fact);
    expect(closed.state).toMatchObject({ status: "retrying", retryAtMs: T0 + BUDGET_MS + 2_000 });
  });

  it("keeps a call past its budget open, and takes its late answer", () => {
    const late = LIVES["retrying with an open call"]?.() ?? queued();
    expect(attemptOf(late, 1)).toMatchObject({
      outcome: "timed_out",
      stillOpen: true,
      mayBeBilled: true,
      counted: true,
    });
    expect(late.state).toMatchObject({ status: "retrying" });
    const won = jobAfter(late, delivered(1), { type: "image_stored", attempt: 1, index: 0, image: image() });
    expect(won.state.status).toBe("succeeded");
    expect(attemptOf(won, 1)).toMatchObject({ outcome: "succeeded_late", stillOpen: false });
    expect(won.log.map((event) => event.type)).toEqual([
      "job.queued",
      "attempt.started",
      "attempt.finished",
      "job.retrying",
      "attempt.late",
      "job.storing",
      "job.succeeded",
    ]);
  });

  it("calls the running attempt off when an earlier one delivers late, and gives back its lease", () => {
    const both = LIVES["running beside an open call"]?.() ?? queued();
    const won = jobAfter(both, delivered(1));
    expect(attemptOf(won, 2)).toMatchObject({ outcome: "canceled", mayBeBilled: true });
    expect(won.outbox.releases.map(({ leaseId, outcome }) => [leaseId, outcome.kind])).toEqual([
      ["lease-1", "failed"],
      ["lease-2", "abandoned"],
    ]);
    expect(won.outbox.observations).toHaveLength(1);
  });

  it("calls an open earlier call off when the next attempt delivers", () => {
    const both = LIVES["running beside an open call"]?.() ?? queued();
    const won = jobAfter(both, delivered(2));
    expect(attemptOf(won, 1)).toMatchObject({ outcome: "timed_out", stillOpen: false });
    expect(transition(won, delivered(1), context())).toEqual({ ok: false, refusal: "stale" });
  });

  it("hangs up at the budget when late answers are not wanted", () => {
    const result = transition(
      jobAfter(queued(), began),
      { type: "budget_ended", attempt: 1 },
      context({ nowMs: T0 + LATE_MS }),
    );
    expect(result.ok && attemptOf(result.record, 1)).toMatchObject({ outcome: "timed_out", stillOpen: false });
  });

  it("holds four calls open at most: the fifth attempt waits until one of them closes", () => {
    const short = context({ budgetMs: 1_000 });
    const at = (record: JobRecord, nowMs: number, fact: JobFact): JobRecord => {
      const result = transition(record, fact, { ...short, nowMs });
      if (!result.ok) throw new Error(`${fact.type}: ${result.refusal}`);
      return result.record;
    };
    const retryAtMs = ({ state }: JobRecord): number => (state.status === "retrying" ? state.retryAtMs : Number.NaN);
    let job = queued({ maxAttempts: 9 });
    let nowMs = T0;
    for (const attempt of [1, 2, 3, 4]) {
      job = at(job, nowMs, began(job));
      nowMs += 1_000;
      job = at(job, nowMs, { type: "budget_ended", attempt });
      if (attempt === 4) break;
      nowMs = retryAtMs(job);
      job = at(job, nowMs, { type: "backoff_ended" });
    }
    expect(job.attempts.filter(({ stillOpen }) => stillOpen)).toHaveLength(4);
    expect(retryAtMs(job)).toBe(attemptOf(job, 1)?.openUntilMs);
    const closed = at(job, nowMs + 1, { type: "call_failed", attempt: 2, failure: failure() });
    expect(retryAtMs(closed)).toBeLessThan(retryAtMs(job));
  });

  it("fails with the last attempt only once no call is open", () => {
    const waiting = LIVES["waiting for an open call"]?.() ?? queued();
    expect(waiting.state).toMatchObject({ status: "running", phase: "generating" });
    const ended = jobAfter(waiting, { at: T0 + LATE_MS }, { type: "late_window_ended", attempt: 1 });
    expect(ended.state).toMatchObject({ status: "failed", error: { code: "attempts_exhausted" } });
  });

  it("with onUncertain: fail starts no second attempt, and says that it may have been billed", () => {
    const waiting = jobAfter(
      queued({ onUncertain: "fail" }),
      began,
      { at: T0 + BUDGET_MS },
      { type: "budget_ended", attempt: 1 },
    );
    expect(waiting.state).toMatchObject({ status: "running", phase: "generating" });
    const ended = jobAfter(waiting, { at: T0 + LATE_MS }, { type: "late_window_ended", attempt: 1 });
    expect(ended.state).toMatchObject({ status: "failed", error: { code: "outcome_uncertain" } });
  });

  it("with onUncertain: fail retries after all when a late refusal proves that nothing was billed", () => {
    const waiting = jobAfter(
      queued({ onUncertain: "fail" }),
      began,
      { at: T0 + BUDGET_MS },
      { type: "budget_ended", attempt: 1 },
    );
    expect(jobAfter(waiting, { type: "call_failed", attempt: 1, failure: failure() }).state.status).toBe("retrying");
  });
});

describe("asynchronous tasks", () => {
  it("resumes the task in the next attempt, uncounted and under the same lease", () => {
    const running = LIVES["generating a task"]?.() ?? queued();
    const timedOut = jobAfter(running, { at: T0 + BUDGET_MS }, { type: "budget_ended", attempt: 1 });
    expect(attemptOf(timedOut, 1)).toMatchObject({ outcome: "timed_out", counted: false });
    expect(timedOut.outbox.releases).toEqual([]);
    const resumed = jobAfter(timedOut, { at: T0 + 2 * BUDGET_MS }, { type: "backoff_ended" });
    expect(resumed.state).toMatchObject({ status: "running", phase: "generating", attempt: 2 });
    expect(resumed.task).toMatchObject({ taskId: "task-1", attempt: 2 });
    expect(attemptOf(resumed, 2)).toMatchObject({ counted: false, lease: { leaseId: "lease-1" } });
    expect(jobAfter(resumed, delivered(2)).state).toMatchObject({ status: "running", phase: "storing" });
  });

  it("does not call a running attempt lost while its task is known", () => {
    const running = LIVES["generating a task"]?.() ?? queued();
    expect(transition(running, { type: "call_lost", attempt: 1 }, context())).toEqual({ ok: false, refusal: "stale" });
  });

  it("asks upstream to cancel the task of a canceled job, and a retry resumes it rather than pay again", () => {
    const canceled = jobAfter(LIVES["generating a task"]?.() ?? queued(), { type: "cancel" });
    expect(canceled.outbox.cancelTasks).toEqual(["task-1"]);
    const retried = jobAfter(canceled, { type: "retry" });
    expect(retried.state).toMatchObject({ status: "running", phase: "generating" });
    expect(retried.task?.taskId).toBe("task-1");
  });

  it("counts a task that failed between two looks at it, and never goes beyond maxAttempts", () => {
    const lives = [LIVES["generating a task"]?.({ maxAttempts: 1 }), LIVES["generating a task"]?.({ maxAttempts: 2 })];
    const [only, first] = lives.map((running) =>
      jobAfter(
        running ?? queued(),
        { at: T0 + BUDGET_MS },
        { type: "budget_ended", attempt: 1 },
        { type: "call_failed", attempt: 1, failure: failure({ retryAfterMs: 90_000 }) },
      ),
    );
    expect(only?.state).toMatchObject({ status: "failed", error: { code: "attempts_exhausted" } });
    expect(first && attemptOf(first, 1)).toMatchObject({ outcome: "timed_out", counted: true, mayBeBilled: false });
    expect(first?.state).toMatchObject({ status: "retrying", retryAtMs: T0 + BUDGET_MS + 90_000 });
  });

  it("does not cancel the task that a retry goes on with", () => {
    const canceled = jobAfter(LIVES["generating a task"]?.() ?? queued(), { type: "cancel" });
    expect(jobAfter(canceled, { type: "retry" }).outbox.cancelTasks).toEqual([]);
  });

  it("does not go on with a task that upstream has canceled for us", () => {
    const canceled = jobAfter(
      LIVES["generating a task"]?.() ?? queued(),
      { type: "cancel" },
      { type: "task_canceled", taskId: "task-1", canceled: true },
    );
    expect(canceled).toMatchObject({ task: null, outbox: { cancelTasks: [] } });
    expect(jobAfter(canceled, { type: "retry" }).state.status).toBe("queued");
  });

  it("goes on with a task that upstream would not cancel", () => {
    const canceled = jobAfter(
      LIVES["generating a task"]?.() ?? queued(),
      { type: "cancel" },
      { type: "task_canceled", taskId: "task-1", canceled: false },
    );
    expect(jobAfter(canceled, { type: "retry" }).task?.taskId).toBe("task-1");
  });

  it("submits anew, uncounted, when the task that a retry went on with was being canceled all the while", () => {
    const resumed = jobAfter(
      LIVES["generating a task"]?.({ maxAttempts: 1 }) ?? queued(),
      { type: "cancel" },
      { type: "retry" },
    );
    const after = jobAfter(resumed, { type: "task_canceled", taskId: "task-1", canceled: true });
    expect(after).toMatchObject({ state: { status: "queued" }, task: null });
    expect(attemptOf(after, 2)).toMatchObject({ outcome: "canceled", counted: false, mayBeBilled: false });
  });

  it("treats a lost task as an uncertain outcome", () => {
    const lost = { type: "task_lost", attempt: 1, failure: failure() } as const;
    const running = jobAfter(queued({ onUncertain: "fail" }), began, {
      type: "task_accepted",
      attempt: 1,
      taskId: "t",
      report,
    });
    expect(jobAfter(running, { at: T0 + LATE_MS }, lost).state).toMatchObject({
      status: "failed",
      error: { code: "outcome_uncertain" },
    });
  });
});

describe("storing", () => {
  it("goes on with the stored links when a job canceled while storing is retried", () => {
    const canceled = jobAfter(LIVES.storing?.() ?? queued(), { type: "cancel" });
    const retried = jobAfter(canceled, { at: T0 + HOUR }, { type: "retry" });
    expect(retried.state).toMatchObject({ status: "running", phase: "storing" });
    expect(retried.attempts).toHaveLength(1);
  });

  it("makes a new image when the links died before the retry", () => {
    const canceled = jobAfter(LIVES.storing?.() ?? queued(), { type: "cancel" });
    expect(jobAfter(canceled, { at: T0 + 25 * HOUR }, { type: "retry" }).state.status).toBe("queued");
  });

  it("repeats copying until a link is dead, then says that the result is lost", () => {
    const storing = LIVES.storing?.() ?? queued();
    const failed = { type: "store_failed", attempt: 1, index: 0, dead: false, reason: "503" } as const;
    const again = jobAfter(storing, failed, failed, failed);
    expect(again.state).toMatchObject({ status: "running", phase: "storing" });
    const lost = jobAfter(again, { at: T0 + 48 * HOUR }, { ...failed, dead: true });
    expect(lost.state).toMatchObject({ status: "failed", error: { code: "result_lost" } });
  });

  it("says so when upstream delivered fewer images than were asked for", () => {
    const refused = {
      ...report,
      code: "DataInspectionFailed",
      message: "Output data may contain inappropriate content.",
    };
    const storing = jobAfter(queued({ n: 3 }), began, {
      type: "delivered",
      attempt: 1,
      links: ["https://r.test/1.png"],
      report: refused,
    });
    expect(storing.warnings).toEqual([
      {
        code: "fewer_images",
        message:
          "upstream delivered 1 of 3 images: DataInspectionFailed, Output data may contain inappropriate content.",
      },
    ]);
  });

  it("keeps the images that could be stored when another is lost", () => {
    const storing = jobAfter(queued({ n: 2 }), began, delivered(1, ["https://r.test/1.png", "https://r.test/2.png"]));
    const done = jobAfter(
      storing,
      { type: "store_failed", attempt: 1, index: 0, dead: true, reason: "403" },
      { type: "image_stored", attempt: 1, index: 1, image: image(1) },
    );
    expect(done.state).toMatchObject({ status: "succeeded", images: [{ index: 1 }] });
    expect(done.warnings).toMatchObject([{ code: "result_partly_lost" }]);
  });
});

describe("a catalog that was not told", () => {
  it("is told after all, unless it has heard of a later change", () => {
    const job = queued();
    const believed = jobAfter(job, { type: "cataloged", seq: job.seq });
    const missed = { type: "catalog_missed", seq: job.seq } as const;
    expect(jobAfter(believed, missed).outbox.catalogSeq).toBe(0);
    const later = jobAfter(believed, { type: "cancel" }, { type: "cataloged", seq: job.seq + 1 });
    expect(jobAfter(later, missed).outbox.catalogSeq).toBe(job.seq + 1);
  });
});

describe("a task that upstream does not know", () => {
  const unknown = { type: "task_lost", attempt: 1, failure: failure({ mayBeBilled: true }) } as const;

  it("is read again while a late answer is awaited, and dropped after that", () => {
    const running = LIVES["generating a task"]?.() ?? queued();
    const early = jobAfter(running, { at: T0 + 1_000 }, unknown);
    expect(early.state).toMatchObject({ status: "running", phase: "generating" });
    expect(early.task?.taskId).toBe("task-1");
    expect(attemptOf(early, 1)?.cause?.message).toContain("its task cannot be read");
    const late = jobAfter(running, { at: T0 + LATE_MS }, unknown);
    expect(late.state.status).toBe("retrying");
    expect(late.task).toBeNull();
  });
});

describe("a job that is retried by hand again and again", () => {
  /** One more life: begins, ends by these facts, is retried. Its lane has heard of it by then. */
  const oneMoreLife = (job: JobRecord, nowMs: number, ...facts: readonly JobFact[]): JobRecord => {
    const ended = jobAfter(job, { at: nowMs }, began, ...facts);
    const heard = ended.outbox.releases.map(({ leaseId }) => ({ type: "released", leaseId }) as const);
    return { ...jobAfter(ended, ...heard, { type: "retry" }), log: [] };
  };

  it("stays small enough to be stored", () => {
    let job = queued({ n: 2 });
    for (let life = 0; life < 1_500; life += 1) {
      const attempt = job.lastAttempt + 1;
      job = oneMoreLife(job, T0 + life, { type: "call_failed", attempt, failure: failure({ disposition: "give_up" }) });
      // Delivers one image of two, and its link is dead.
      const dead = { type: "store_failed", attempt: attempt + 1, index: 0, dead: true, reason: "403" } as const;
      job = oneMoreLife(job, T0 + life, delivered(attempt + 1), dead);
    }
    expect(job.attempts.map(({ number }) => number)).toEqual(Array.from({ length: 21 }, (_, index) => 2_980 + index));
    expect(job.warnings).toEqual([]);
    expect(JSON.stringify(job).length).toBeLessThan(30_000);
  });
});

describe("retries", () => {
  it("gives up on a failure that is worth one repetition only", () => {
    const timeout = { type: "call_failed", failure: failure({ maxRepeats: 1 }) } as const;
    const once = jobAfter(queued(), began, { ...timeout, attempt: 1 });
    const twice = jobAfter(once, { at: T0 + 10_000 }, { type: "backoff_ended" }, began, { ...timeout, attempt: 2 });
    expect(twice.state).toMatchObject({ status: "failed", error: { code: "attempts_exhausted" } });
  });

  it("holds only failures of one kind against a kind's own bound", () => {
    const none = { ...report, httpStatus: null, requestId: null };
    const cut = failure({ message: "the connection broke", report: none });
    const unreadable = failure({ message: "the answer cannot be read", report: none, maxRepeats: 1 });
    const mixed = jobAfter(
      queued(),
      began,
      { type: "call_failed", attempt: 1, failure: cut },
      { at: T0 + 10_000 },
      { type: "backoff_ended" },
      began,
      { type: "call_failed", attempt: 2, failure: unreadable },
    );
    expect(mixed.state.status).toBe("retrying");
  });

  it("waits at least as long as upstream asked", () => {
    const result = jobAfter(queued(), began, {
      type: "call_failed",
      attempt: 1,
      failure: failure({ retryAfterMs: 90_000 }),
    });
    expect(result.state).toMatchObject({ status: "retrying", retryAtMs: T0 + 90_000 });
  });

  it("does not count an attempt that was throttled, and asks for the old place", () => {
    const back = jobAfter(queued(), began, {
      type: "call_failed",
      attempt: 1,
      failure: failure({ disposition: "put_back" }),
    });
    expect(attemptOf(back, 1)).toMatchObject({ outcome: "throttled", counted: false });
    expect(back.outbox.releases).toMatchObject([{ requeueRound: 2, outcome: { kind: "throttled" } }]);
    expect(back.round).toBe(2);
  });

  it("begins a new life by hand: attempts count anew, the log goes on", () => {
    const failed = jobAfter(queued({ maxAttempts: 1 }), began, { type: "call_failed", attempt: 1, failure: failure() });
    expect(failed.state.status).toBe("failed");
    const retried = jobAfter(failed, { at: T0 + HOUR }, { type: "retry" });
    expect(retried).toMatchObject({ state: { status: "queued" }, deadlineAtMs: T0 + 25 * HOUR, expiresAtMs: null });
    const again = jobAfter(retried, began, { type: "call_failed", attempt: 2, failure: failure() });
    expect(again.state).toMatchObject({
      status: "failed",
      error: { message: expect.stringContaining("only attempt") },
    });
  });
});
