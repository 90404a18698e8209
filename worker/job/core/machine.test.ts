import { describe, expect, it } from "vitest";
import type { JobRequest } from "../../../schemas/job.ts";
import { RECORD_DELAY_MS } from "../../catalog/core/reservations.ts";
import type { FactType, JobFact } from "./facts.ts";
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
  LATE_MS,
  LIVES,
  lease,
  limitedAfter,
  messages,
  pricedJob,
  queued,
  recordAfter,
  removed,
  report,
  SPENT,
  submission,
  T0,
} from "./jobs.fixture.ts";
import { MACHINE, type Place, placeOf, transition } from "./machine.ts";
import { type Answers, messageOf } from "./outbox.ts";
import { attemptOf, type JobRecord, newJobRecord, type StoredRecord } from "./record.ts";
import { nextAlarmAtMs, nextMessage } from "./schedule.ts";
import { UNKNOWN_READS } from "./task-moves.ts";
import { toJobView } from "./view.ts";

const HOUR = 3_600_000;

/** Every fact, naming attempt 1 and the current ticket where it names one. A type that is missing here does not compile. */
const FACTS = {
  attempt_began: (record) => ({ type: "attempt_began", lease: lease(record) }),
  uploads_unreadable: ({ ticketNumber }) => ({ type: "uploads_unreadable", ticketNumber, leased: true, reason: "R2" }),
  upload_missing: ({ ticketNumber }) => ({ type: "upload_missing", ticketNumber, sha256: "ab" }),
  ticket_missing: ({ ticketNumber }) => ({ type: "ticket_missing", ticketNumber }),
  ticket_check_due: () => ({ type: "ticket_check_due" }),
  task_accepted: () => ({ type: "task_accepted", attempt: 1, taskId: "task-9", report }),
  delivered: () => delivered(1),
  call_failed: () => failed("retry"),
  task_lost: () => ({ type: "task_lost", attempt: 1, failure: failure() }),
  task_read: () => ({ type: "task_read", attempt: 1, failure: failure() }),
  task_found_canceled: () => ({ type: "task_found_canceled", attempt: 1, failure: failure() }),
  call_lost: () => ({ type: "call_lost", attempt: 1 }),
  budget_ended: () => ({ type: "budget_ended", attempt: 1 }),
  late_window_ended: () => ({ type: "late_window_ended", attempt: 1 }),
  backoff_ended: () => ({ type: "backoff_ended" }),
  deadline_passed: () => ({ type: "deadline_passed" }),
  image_stored: () => ({ type: "image_stored", attempt: 1, index: 0, image: image() }),
  store_failed: () => ({ type: "store_failed", attempt: 1, index: 0, dead: false, reason: "503" }),
  cancel: () => ({ type: "cancel" }),
  retry: () => ({ type: "retry" }),
  annotate: () => ({ type: "annotate", pinned: true }),
  resend: () => ({ type: "resend", seq: 5 }),
  remove: () => ({ type: "remove", why: "deleted" }),
  key_reused: () => ({ type: "key_reused", successorId: "job_b", deadlineSeconds: 60 }),
  tombstone_ended: () => ({ type: "tombstone_ended" }),
  message_answered: ({ seq }) => ({ type: "message_answered", message: messageOf("record", { seq }), answer: null }),
  budget_exceeded: ({ ticketNumber }) => ({ type: "budget_exceeded", ticketNumber, spend: SPENT }),
  catalog_missed: ({ seq }) => ({ type: "catalog_missed", seq }),
} as const satisfies Record<FactType, (record: JobRecord) => JobFact>;

const failed = (disposition: "retry" | "give_up" | "put_back" | "block"): JobFact => ({
  type: "call_failed",
  attempt: 1,
  failure: failure({ disposition }),
});

/** Facts of one type that lead to different places. */
const VARIANTS = {
  "call_failed for good": () => failed("give_up"),
  "call_failed, throttled": () => failed("put_back"),
  "call_failed, blocked": () => failed("block"),
  "store_failed for good": () => ({ type: "store_failed", attempt: 1, index: 0, dead: true, reason: "403" }),
} as const satisfies Record<string, () => JobFact>;

type FactName = FactType | keyof typeof VARIANTS;
type Life = keyof typeof LIVES | "removed";

/** Where the fact leads, about an hour after the submission. */
function outcomeOf(life: Life, name: FactName): string {
  const before: StoredRecord = life === "removed" ? removed() : LIVES[life]({});
  const named: JobRecord = before.kind === "job" ? before : LIVES.succeeded({});
  const make: (record: JobRecord) => JobFact = { ...FACTS, ...VARIANTS }[name];
  const result = transition(before, make(named), context({ nowMs: T0 + HOUR }));
  if (!result.ok) return `refused: ${result.refusal}`;
  const { record } = result;
  const isSeen =
    record.kind !== before.kind ||
    (record.kind === "job" && before.kind === "job" && record.revision !== before.revision);
  return `${placeOf(record)}${isSeen ? "" : ", unseen"}`;
}

/** Where each fact leads from each of `LIVES`; a fact that is not named is refused. `unseen`: no reader sees a change. */
const TABLE: Readonly<Record<Life, Readonly<Partial<Record<FactName, string>>>>> = {
  queued: {
    attempt_began: "generating",
    uploads_unreadable: "queued",
    upload_missing: "failed",
    task_accepted: "queued, unseen",
    deadline_passed: "failed",
    cancel: "canceled",
    remove: "removed",
    resend: "queued, unseen",
    message_answered: "queued, unseen",
    annotate: "queued",
    catalog_missed: "queued, unseen",
  },
  "queued in its lane": {
    attempt_began: "generating",
    uploads_unreadable: "queued",
    upload_missing: "failed",
    ticket_missing: "queued, unseen",
    ticket_check_due: "queued, unseen",
    task_accepted: "queued, unseen",
    deadline_passed: "failed",
    cancel: "canceled",
    remove: "removed",
    resend: "queued, unseen",
    message_answered: "queued, unseen",
    annotate: "queued",
    catalog_missed: "queued, unseen",
  },
  "queued beside an open call": {
    attempt_began: "generating",
    uploads_unreadable: "queued",
    upload_missing: "failed",
    task_accepted: "reading_task",
    delivered: "storing",
    call_failed: "queued",
    task_lost: "queued",
    call_lost: "queued",
    late_window_ended: "queued",
    deadline_passed: "failed",
    cancel: "canceled",
    remove: "removed",
    resend: "queued, unseen",
    message_answered: "queued, unseen",
    annotate: "queued",
    catalog_missed: "queued, unseen",
    "call_failed for good": "failed",
    "call_failed, throttled": "queued",
    "call_failed, blocked": "queued",
  },
  generating: {
    task_accepted: "reading_task",
    delivered: "storing",
    call_failed: "retrying",
    task_lost: "retrying",
    call_lost: "retrying",
    budget_ended: "retrying",
    deadline_passed: "failed",
    cancel: "canceled",
    remove: "removed",
    resend: "generating, unseen",
    message_answered: "generating, unseen",
    annotate: "generating",
    catalog_missed: "generating, unseen",
    "call_failed for good": "failed",
    "call_failed, throttled": "queued",
    "call_failed, blocked": "queued",
  },
  "generating beside an open call": {
    task_accepted: "generating",
    delivered: "storing",
    call_failed: "generating",
    task_lost: "generating",
    call_lost: "generating",
    late_window_ended: "generating",
    deadline_passed: "failed",
    cancel: "canceled",
    remove: "removed",
    resend: "generating, unseen",
    message_answered: "generating, unseen",
    annotate: "generating",
    catalog_missed: "generating, unseen",
    "call_failed for good": "failed",
    "call_failed, throttled": "generating",
    "call_failed, blocked": "generating",
  },
  reading_task: {
    task_accepted: "reading_task, unseen",
    delivered: "storing",
    call_failed: "retrying",
    task_lost: "reading_task",
    task_read: "reading_task",
    task_found_canceled: "retrying",
    budget_ended: "retrying",
    deadline_passed: "failed",
    cancel: "canceled",
    remove: "removed",
    resend: "reading_task, unseen",
    message_answered: "reading_task, unseen",
    annotate: "reading_task",
    catalog_missed: "reading_task, unseen",
    "call_failed for good": "failed",
    "call_failed, throttled": "queued",
    "call_failed, blocked": "queued",
  },
  awaiting_answer: {
    task_accepted: "awaiting_answer",
    delivered: "storing",
    call_failed: "failed",
    task_lost: "failed",
    call_lost: "failed",
    late_window_ended: "failed",
    deadline_passed: "failed",
    cancel: "canceled",
    remove: "removed",
    resend: "awaiting_answer, unseen",
    message_answered: "awaiting_answer, unseen",
    annotate: "awaiting_answer",
    catalog_missed: "awaiting_answer, unseen",
    "call_failed for good": "failed",
    "call_failed, throttled": "retrying",
    "call_failed, blocked": "retrying",
  },
  storing: {
    task_accepted: "storing, unseen",
    image_stored: "succeeded",
    store_failed: "storing",
    cancel: "canceled",
    remove: "removed",
    resend: "storing, unseen",
    message_answered: "storing, unseen",
    annotate: "storing",
    catalog_missed: "storing, unseen",
    "store_failed for good": "failed",
  },
  retrying: {
    task_accepted: "retrying, unseen",
    backoff_ended: "queued",
    deadline_passed: "failed",
    cancel: "canceled",
    remove: "removed",
    resend: "retrying, unseen",
    message_answered: "retrying, unseen",
    annotate: "retrying",
    catalog_missed: "retrying, unseen",
  },
  "retrying with an open call": {
    task_accepted: "retrying",
    delivered: "storing",
    call_failed: "retrying",
    task_lost: "retrying",
    call_lost: "retrying",
    late_window_ended: "retrying",
    backoff_ended: "queued",
    deadline_passed: "failed",
    cancel: "canceled",
    remove: "removed",
    resend: "retrying, unseen",
    message_answered: "retrying, unseen",
    annotate: "retrying",
    catalog_missed: "retrying, unseen",
    "call_failed for good": "failed",
    "call_failed, throttled": "retrying",
    "call_failed, blocked": "retrying",
  },
  "retrying with a task": {
    task_accepted: "retrying, unseen",
    delivered: "storing",
    call_failed: "retrying",
    task_lost: "retrying",
    task_read: "retrying",
    task_found_canceled: "retrying",
    backoff_ended: "reading_task",
    deadline_passed: "failed",
    cancel: "canceled",
    remove: "removed",
    resend: "retrying, unseen",
    message_answered: "retrying, unseen",
    annotate: "retrying",
    catalog_missed: "retrying, unseen",
    "call_failed for good": "failed",
    "call_failed, throttled": "retrying",
    "call_failed, blocked": "retrying",
  },
  succeeded: {
    task_accepted: "succeeded, unseen",
    remove: "removed",
    resend: "succeeded, unseen",
    message_answered: "succeeded, unseen",
    annotate: "succeeded",
    catalog_missed: "succeeded, unseen",
  },
  failed: {
    task_accepted: "failed, unseen",
    retry: "queued",
    remove: "removed",
    resend: "failed, unseen",
    message_answered: "failed, unseen",
    annotate: "failed",
    catalog_missed: "failed, unseen",
  },
  canceled: {
    task_accepted: "canceled, unseen",
    cancel: "canceled, unseen",
    retry: "queued",
    remove: "removed",
    resend: "canceled, unseen",
    message_answered: "canceled, unseen",
    annotate: "canceled",
    catalog_missed: "canceled, unseen",
  },
  removed: {
    task_accepted: "removed, unseen",
    key_reused: "removed, unseen",
    tombstone_ended: "removed, unseen",
    message_answered: "removed, unseen",
    catalog_missed: "removed, unseen",
  },
};

function refusalIn(life: Life, name: FactName): string {
  if (life === "removed") return "refused: removed";
  if (name === "retry") return life === "succeeded" ? "refused: finished" : "refused: not_finished";
  return ["succeeded", "failed", "canceled"].includes(life) ? "refused: finished" : "refused: stale";
}

const FACT_NAMES = [...Object.keys(FACTS), ...Object.keys(VARIANTS)] as FactName[];
const LIFE_NAMES = [...Object.keys(LIVES), "removed"] as Life[];

describe("every job of `LIVES` × every fact", () => {
  it.each(LIFE_NAMES)("%s", (life) => {
    const expected = FACT_NAMES.map((name) => [name, TABLE[life][name] ?? refusalIn(life, name)]);
    expect(FACT_NAMES.map((name) => [name, outcomeOf(life, name)])).toEqual(expected);
  });
});

/** A first call that is still open, and a second attempt that generates, of two at most. */
const second = (request: Partial<JobRequest> = {}) =>
  LIVES["generating beside an open call"]({ maxAttempts: 2, ...request });
const acceptedBy = (attempt: number): JobFact => ({ type: "task_accepted", attempt, taskId: "task-2", report });
const spentFailure = failure({ maxRepeats: 0 });
/** The second attempt failed in a way that is not worth repeating; the first call is still open. */
const givenUp = () =>
  jobAfter(second({ maxAttempts: 4 }), { at: T0 + 70_000 }, { type: "call_failed", attempt: 2, failure: spentFailure });
const secondReadsTask = () => jobAfter(second(), { at: T0 + 70_000 }, acceptedBy(2));
const secondRetriesTask = () =>
  jobAfter(secondReadsTask(), { at: T0 + 65_000 + BUDGET_MS }, { type: "budget_ended", attempt: 2 });
const lost = (attempt: number): JobFact => ({ type: "task_lost", attempt, failure: failure() });
/** The job, whose task is given up with the next answer that upstream does not know it. */
const almostLost = ({ task, ...job }: JobRecord): JobRecord => ({
  ...job,
  task: task === null ? null : { ...task, unknownReads: UNKNOWN_READS - 1 },
});
const foundCanceled = (attempt: number, disposition: "retry" | "give_up" = "retry"): JobFact => ({
  type: "task_found_canceled",
  attempt,
  failure: failure({ disposition }),
});
const canceledWithTask = () => jobAfter(LIVES.reading_task({}), { type: "cancel" });

/** Moves that need more than one open call, an upstream task or a retry. */
const EXAMPLES: readonly (readonly [from: Place, fact: JobFact, to: Place, record: () => StoredRecord])[] = [
  ["generating", { type: "call_failed", attempt: 2, failure: failure() }, "awaiting_answer", second],
  ["reading_task", { type: "call_failed", attempt: 2, failure: failure() }, "awaiting_answer", secondReadsTask],
  ["retrying", { type: "call_failed", attempt: 2, failure: failure() }, "awaiting_answer", secondRetriesTask],
  ["generating", lost(2), "awaiting_answer", second],
  ["generating", lost(1), "failed", () => LIVES.generating({ maxAttempts: 1 })],
  ["reading_task", lost(2), "awaiting_answer", () => almostLost(secondReadsTask())],
  ["reading_task", lost(1), "retrying", () => almostLost(LIVES.reading_task({}))],
  ["reading_task", lost(1), "failed", () => almostLost(LIVES.reading_task({ maxAttempts: 1 }))],
  ["awaiting_answer", lost(1), "retrying", givenUp],
  ["retrying", lost(2), "awaiting_answer", () => almostLost(secondRetriesTask())],
  ["retrying", lost(1), "failed", () => almostLost(LIVES["retrying with a task"]({ maxAttempts: 1 }))],
  [
    "generating",
    { type: "task_read", attempt: 1, failure: null },
    "generating",
    () => jobAfter(second(), acceptedBy(1)),
  ],
  [
    "awaiting_answer",
    { type: "task_read", attempt: 1, failure: null },
    "awaiting_answer",
    () => jobAfter(givenUp(), acceptedBy(1)),
  ],
  ["generating", foundCanceled(1, "give_up"), "failed", () => jobAfter(second(), acceptedBy(1))],
  ["reading_task", foundCanceled(2), "queued", () => jobAfter(canceledWithTask(), { type: "retry" })],
  ["reading_task", foundCanceled(2), "awaiting_answer", secondReadsTask],
  ["reading_task", foundCanceled(1, "give_up"), "failed", () => LIVES.reading_task({})],
  ["awaiting_answer", foundCanceled(1), "retrying", () => jobAfter(givenUp(), acceptedBy(1))],
  ["awaiting_answer", foundCanceled(1), "failed", () => jobAfter(LIVES.awaiting_answer({}), acceptedBy(1))],
  ["retrying", foundCanceled(2), "awaiting_answer", secondRetriesTask],
  ["retrying", foundCanceled(1, "give_up"), "failed", () => LIVES["retrying with a task"]({})],
  ["generating", { type: "call_lost", attempt: 2 }, "awaiting_answer", second],
  ["generating", { type: "call_lost", attempt: 1 }, "failed", () => LIVES.generating({ maxAttempts: 1 })],
  ["reading_task", { type: "call_lost", attempt: 1 }, "reading_task", secondReadsTask],
  ["awaiting_answer", { type: "call_lost", attempt: 1 }, "retrying", givenUp],
  ["generating", { type: "budget_ended", attempt: 1 }, "awaiting_answer", () => LIVES.generating({ maxAttempts: 1 })],
  [
    "generating",
    { type: "budget_ended", attempt: 1 },
    "failed",
    () => pastItsWindow(LIVES.generating({ maxAttempts: 1 })),
  ],
  ["reading_task", { type: "late_window_ended", attempt: 1 }, "reading_task", secondReadsTask],
  ["awaiting_answer", { type: "late_window_ended", attempt: 1 }, "retrying", givenUp],
  ["storing", { type: "store_failed", attempt: 1, index: 1, dead: true, reason: "403" }, "succeeded", halfStored],
  ["failed", { type: "retry" }, "reading_task", () => jobAfter(LIVES.reading_task({}), { type: "deadline_passed" })],
  ["canceled", { type: "retry" }, "reading_task", canceledWithTask],
  ["canceled", { type: "retry" }, "storing", () => jobAfter(LIVES.storing({}), { type: "cancel" })],
  [
    "reading_task",
    answered.cancelTask("task-1", true),
    "queued",
    () => jobAfter(canceledWithTask(), { type: "retry" }),
  ],
  ["awaiting_answer", answered.cancelTask("task-2", true), "retrying", () => jobAfter(givenUp(), acceptedBy(1))],
  [
    "awaiting_answer",
    answered.cancelTask("task-2", true),
    "failed",
    () => jobAfter(LIVES.awaiting_answer({}), acceptedBy(1)),
  ],
  ["queued", outOfMoney(2), "awaiting_answer", asksForMoneyBesideACall],
  ["queued", outOfMoney(2), "failed", asksForMoney],
  ["removed", { type: "tombstone_ended" }, "removed", () => recordAfter(removed(), FACTS.key_reused())],
];

/** A job that asks for the money of its next attempt, because the last one may be billed. */
function asksForMoney(): JobRecord {
  const lost = { type: "call_lost", attempt: 1 } as const;
  return limitedAfter(pricedJob(), began, lost, { at: T0 + BUDGET_MS }, { type: "backoff_ended" });
}

function asksForMoneyBesideACall(): JobRecord {
  const ended = { type: "budget_ended", attempt: 1 } as const;
  const ends = [{ at: T0 + BUDGET_MS }, ended, { at: T0 + 3 * BUDGET_MS }, { type: "backoff_ended" }] as const;
  return limitedAfter(pricedJob(), began, ...ends);
}

function outOfMoney(ticketNumber: number): JobFact {
  return { type: "budget_exceeded", ticketNumber, spend: SPENT };
}

function halfStored(): JobRecord {
  const links = ["https://r.test/1.png", "https://r.test/2.png"];
  const stored = { type: "image_stored", attempt: 1, index: 0, image: image() } as const;
  return jobAfter(queued({ n: 2 }), began, delivered(1, links), stored);
}

/** The job as if late answers were not wanted. */
function pastItsWindow(job: JobRecord): JobRecord {
  return { ...job, attempts: job.attempts.map((attempt) => ({ ...attempt, openUntilMs: attempt.budgetEndsAtMs })) };
}

describe("the table of moves", () => {
  it.each(
    EXAMPLES.map(([from, fact, to, record]) => [`${from} × ${fact.type} → ${to}`, from, fact, to, record] as const),
  )("has %s", (_name, from, fact, to, make) => {
    const record = make();
    expect(placeOf(record)).toBe(from);
    const nowMs = fact.type === "budget_ended" ? T0 + BUDGET_MS : T0 + 2 * LATE_MS;
    const result = transition(record, fact, context({ nowMs }));
    expect(result.ok && placeOf(result.record)).toBe(to);
  });

  it("declares the moves that are shown here, and no others", () => {
    const declared = new Set<string>();
    for (const [type, move] of Object.entries(MACHINE)) {
      for (const [from, targets] of Object.entries(move.in)) {
        for (const to of targets.length === 0 ? [from] : targets) declared.add(`${from} × ${type} → ${to}`);
      }
    }
    const shown = new Set(EXAMPLES.map(([from, { type }, to]) => `${from} × ${type} → ${to}`));
    for (const life of LIFE_NAMES) {
      const from = life === "removed" ? life : placeOf(LIVES[life]({}));
      for (const [name, outcome] of Object.entries(TABLE[life])) {
        const isTaken = !outcome.startsWith("refused");
        if (isTaken) shown.add(`${from} × ${name.split(/[ ,]/)[0]} → ${outcome.split(",")[0]}`);
      }
    }
    expect([...declared].filter((move) => !shown.has(move))).toEqual([]);
    const places = Object.keys(MACHINE.message_answered.in);
    const leaves = (move: string) =>
      places.every((place) => !move.startsWith(`${place} ×`) || !move.endsWith(`→ ${place}`));
    expect([...shown].filter((move) => leaves(move) && !declared.has(move))).toEqual([]);
  });
});

describe("budget and late answers", () => {
  it("asks for no second image before a model that needs two budgets has answered", () => {
    const late = LIVES["retrying with an open call"]({});
    expect(late.state.status === "retrying" && late.state.retryAtMs - T0).toBeGreaterThanOrEqual(2.2 * BUDGET_MS);
  });

  it.each([
    ["a short window for late answers", BUDGET_MS * 1.5, BUDGET_MS * 1.5],
    ["a window that ends with the budget, nearly", BUDGET_MS + 1, BUDGET_MS * (4 / 3)],
  ])("waits with %s until it ends, and a third of the budget at least", (_name, lateAnswerMs, retryAtMs) => {
    const settings = { lateAnswerMs, jitter: 0 };
    const at = (record: JobRecord, nowMs: number, fact: JobFact): JobRecord => {
      const result = transition(record, fact, context({ ...settings, nowMs }));
      if (!result.ok || result.record.kind !== "job") throw new Error(`${fact.type} was refused`);
      return result.record;
    };
    const running = at(queued(), T0, began(queued()));
    const ended = at(running, T0 + BUDGET_MS, { type: "budget_ended", attempt: 1 });
    expect(ended.state).toMatchObject({ status: "retrying", retryAtMs: T0 + retryAtMs });
  });

  it.each([
    ["fails after all", { type: "call_failed", attempt: 1, failure: failure() }],
    ["is lost with its process", { type: "call_lost", attempt: 1 }],
  ] as const)("waits no longer for an open call that %s", (_name, fact) => {
    const late = LIVES["retrying with an open call"]({});
    const closed = jobAfter(late, { at: T0 + BUDGET_MS + 1_000 }, fact);
    expect(closed.state).toMatchObject({ status: "retrying", retryAtMs: T0 + BUDGET_MS + 2_000 });
  });

  it("keeps a call past its budget open, and takes its late answer", () => {
    const late = LIVES["retrying with an open call"]({});
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

  it("calls the running attempt off when an earlier one delivers late, and releases its lease", () => {
    const both = LIVES["generating beside an open call"]({});
    const won = jobAfter(both, delivered(1));
    expect(attemptOf(won, 2)).toMatchObject({ outcome: "canceled", mayBeBilled: true });
    expect(messages(won, "release").map(({ payload }) => [payload.leaseId, payload.outcome.kind])).toEqual([
      ["lease-1", "failed"],
      ["lease-2", "abandoned"],
    ]);
    expect(messages(won, "observe")).toHaveLength(1);
  });

  it("calls an open earlier call off when the next attempt delivers", () => {
    const both = LIVES["generating beside an open call"]({});
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
    expect(result.ok && result.record.kind === "job" && attemptOf(result.record, 1)).toMatchObject({
      outcome: "timed_out",
      stillOpen: false,
    });
  });

  it("holds four calls open at most: the fifth attempt waits until one of them closes", () => {
    const short = context({ budgetMs: 1_000 });
    const at = (record: JobRecord, nowMs: number, fact: JobFact): JobRecord => {
      const result = transition(record, fact, { ...short, nowMs });
      if (!result.ok || result.record.kind !== "job") throw new Error(`${fact.type} was refused`);
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
    const waiting = LIVES.awaiting_answer({});
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

  it("counts no attempt past its budget whose upload turns out unreadable, and retries", () => {
    const waiting = LIVES.awaiting_answer({});
    const unread: JobFact = { type: "call_failed", attempt: 1, failure: failure({ fault: "none", counted: false }) };
    const retrying = jobAfter(waiting, { at: T0 + BUDGET_MS + 1_000 }, unread);
    expect(retrying.state.status).toBe("retrying");
    expect(attemptOf(retrying, 1)).toMatchObject({ counted: false, mayBeBilled: false, stillOpen: false });
  });

  it("with onUncertain: fail retries when a late refusal proves that nothing was billed", () => {
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
    const running = LIVES.reading_task({});
    const timedOut = jobAfter(running, { at: T0 + BUDGET_MS }, { type: "budget_ended", attempt: 1 });
    expect(attemptOf(timedOut, 1)).toMatchObject({ outcome: "timed_out", counted: false });
    expect(messages(timedOut, "release")).toEqual([]);
    const resumed = jobAfter(timedOut, { at: T0 + 2 * BUDGET_MS }, { type: "backoff_ended" });
    expect(resumed.state).toMatchObject({ status: "running", phase: "generating", attempt: 2 });
    expect(resumed.task).toMatchObject({ taskId: "task-1", attempt: 2 });
    expect(attemptOf(resumed, 2)).toMatchObject({ counted: false, lease: { leaseId: "lease-1" } });
    expect(jobAfter(resumed, delivered(2)).state).toMatchObject({ status: "running", phase: "storing" });
  });

  it("does not call a running attempt lost while its task is known", () => {
    const running = LIVES.reading_task({});
    expect(transition(running, { type: "call_lost", attempt: 1 }, context())).toEqual({ ok: false, refusal: "stale" });
  });

  it("asks upstream to cancel the task of a canceled job, and a retry resumes it and pays nothing again", () => {
    const canceled = jobAfter(LIVES.reading_task({}), { type: "cancel" });
    expect(messages(canceled, "cancel_task")).toMatchObject([{ payload: { taskId: "task-1" } }]);
    const retried = jobAfter(canceled, { type: "retry" });
    expect(retried.state).toMatchObject({ status: "running", phase: "generating" });
    expect(retried.task?.taskId).toBe("task-1");
  });

  it("counts a task that failed between two attempts, and never exceeds maxAttempts", () => {
    const lives = [LIVES.reading_task({ maxAttempts: 1 }), LIVES.reading_task({ maxAttempts: 2 })];
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

  it("counts no failure beyond maxAttempts of a task from before a retry by hand", () => {
    const retried = jobAfter(queued({ maxAttempts: 1 }), began, { type: "cancel" }, { type: "retry" }, began);
    const late: JobFact = { type: "task_accepted", attempt: 1, taskId: "task-1", report };
    const running = jobAfter(retried, late, { type: "call_lost", attempt: 2 }, { type: "backoff_ended" });
    expect(running.state).toMatchObject({ status: "running", attempt: 3 });
    const failed = jobAfter(running, { type: "call_failed", attempt: 3, failure: failure() });
    expect(failed.state).toMatchObject({ status: "failed", error: { code: "attempts_exhausted" } });
    expect(failed.attempts.map(({ number, counted }) => [number, counted])).toEqual([
      [1, true],
      [2, true],
      [3, false],
    ]);
    const timedOut = jobAfter(running, { at: T0 + BUDGET_MS }, { type: "budget_ended", attempt: 3 });
    const failedLate = jobAfter(timedOut, { type: "call_failed", attempt: 3, failure: failure() });
    expect(attemptOf(failedLate, 3)?.counted).toBe(false);
    expect(failedLate.state.status).toBe("failed");
  });

  it("begins no attempt beyond maxAttempts when a task fails that the next attempt was to resume", () => {
    const accepted: JobFact = { type: "task_accepted", attempt: 1, taskId: "task-1", report };
    const timedOut = (number: number): JobFact => ({ type: "budget_ended", attempt: number });
    const second = jobAfter(
      queued({ maxAttempts: 2 }),
      began,
      { at: T0 + BUDGET_MS },
      timedOut(1),
      { at: T0 + 2 * BUDGET_MS },
      { type: "backoff_ended" },
      began,
      accepted,
      { at: T0 + 3 * BUDGET_MS },
      timedOut(2),
    );
    const third = jobAfter(second, { at: T0 + 3 * BUDGET_MS + 20_000 }, { type: "backoff_ended" });
    const lives = [
      [second, 1],
      [jobAfter(third, { at: T0 + 4 * BUDGET_MS + 20_000 }, timedOut(3)), third.task?.attempt ?? 0],
    ] as const;
    for (const [job, attempt] of lives) {
      expect(job).toMatchObject({ state: { status: "retrying" }, task: { attempt } });
      const failedLate = jobAfter(job, { type: "call_failed", attempt, failure: failure() });
      expect(placeOf(failedLate)).toBe("awaiting_answer");
      const over = jobAfter(failedLate, { type: "call_failed", attempt: 2, failure: failure() });
      expect(over.state).toMatchObject({ status: "failed", error: { code: "attempts_exhausted" } });
    }
  });

  it("does not cancel the task that a retry resumes", () => {
    const canceled = jobAfter(LIVES.reading_task({}), { type: "cancel" });
    expect(messages(jobAfter(canceled, { type: "retry" }), "cancel_task")).toEqual([]);
  });

  it("does not resume a task that upstream has canceled for us", () => {
    const canceled = jobAfter(LIVES.reading_task({}), { type: "cancel" }, answered.cancelTask("task-1", true));
    expect(canceled.task).toBeNull();
    expect(messages(canceled, "cancel_task")).toEqual([]);
    expect(jobAfter(canceled, { type: "retry" }).state.status).toBe("queued");
  });

  it("holds nothing at risk for a task that upstream has canceled before it began, also when the job is over", () => {
    const accepted: JobFact = { type: "task_accepted", attempt: 1, taskId: "task-1", report };
    const running = limitedAfter(pricedJob(), began, accepted);
    const timedOut = limitedAfter(running, { at: T0 + BUDGET_MS }, { type: "budget_ended", attempt: 1 });
    const resumed = limitedAfter(timedOut, { at: T0 + 2 * BUDGET_MS }, { type: "backoff_ended" });
    for (const job of [running, resumed]) {
      const canceled = limitedAfter(job, { type: "cancel" });
      expect(toJobView(canceled, null).cost).toMatchObject({ charged: 0, atRisk: 0.075 });
      const refused = limitedAfter(canceled, answered.cancelTask("task-1", false));
      expect(toJobView(refused, null).cost).toMatchObject({ charged: 0, atRisk: 0.075 });
      const unpaid = limitedAfter(canceled, answered.cancelTask("task-1", true));
      const view = toJobView(unpaid, null);
      expect(view.cost).toMatchObject({ charged: 0, atRisk: 0 });
      expect(view.spend).toEqual({ grants: 1, reservedMicros: 0, days: [] });
      expect(view.attempts.map(({ mayBeBilled }) => mayBeBilled)).toEqual(view.attempts.map(() => false));
      // The job stays as it is; its readers and the catalog get the new amounts.
      expect([unpaid.state, unpaid.seq]).toEqual([canceled.state, canceled.seq]);
      expect(unpaid.revision).toBe(canceled.revision + 1);
      expect(messages(unpaid, "record")).toMatchObject([{ payload: { seq: unpaid.seq, revision: unpaid.revision } }]);
      // The same acceptance, repeated after a crash, changes nothing.
      const again = limitedAfter(unpaid, accepted);
      expect([again.task, toJobView(again, null).cost?.atRisk]).toEqual([null, 0]);
      // The grant of the canceled task went back, so another attempt asks for its own money.
      const retried = limitedAfter(unpaid, { type: "retry" });
      expect(messages(retried, "reserve")).toMatchObject([{ payload: { number: 2, micros: 75_000 } }]);
    }
  });

  it("keeps the money of a task that still runs at risk when another task of its attempt is canceled", () => {
    const accepted = (taskId: string): JobFact => ({ type: "task_accepted", attempt: 1, taskId, report });
    const canceled = limitedAfter(pricedJob(), began, accepted("task-1"), { type: "cancel" }, accepted("task-2"));
    const one = limitedAfter(canceled, answered.cancelTask("task-2", true));
    expect(toJobView(one, null).cost?.atRisk).toBe(0.075);
  });

  it("resumes a task that upstream did not cancel", () => {
    const canceled = jobAfter(LIVES.reading_task({}), { type: "cancel" }, answered.cancelTask("task-1", false));
    expect(jobAfter(canceled, { type: "retry" }).task?.taskId).toBe("task-1");
  });

  it("submits anew, uncounted, when upstream cancels the task that a retry has resumed", () => {
    const resumed = jobAfter(LIVES.reading_task({ maxAttempts: 1 }), { type: "cancel" }, { type: "retry" });
    const after = jobAfter(resumed, answered.cancelTask("task-1", true));
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
    expect(jobAfter(almostLost(running), { at: T0 + LATE_MS }, lost).state).toMatchObject({
      status: "failed",
      error: { code: "outcome_uncertain" },
    });
  });
});

describe("storing", () => {
  it("uses the stored links when a job canceled while storing is retried", () => {
    const canceled = jobAfter(LIVES.storing({}), { type: "cancel" });
    const retried = jobAfter(canceled, { at: T0 + HOUR }, { type: "retry" });
    expect(retried.state).toMatchObject({ status: "running", phase: "storing" });
    expect(retried.attempts).toHaveLength(1);
  });

  it("makes a new image when the links ended before the retry", () => {
    const canceled = jobAfter(LIVES.storing({}), { type: "cancel" });
    expect(jobAfter(canceled, { at: T0 + 25 * HOUR }, { type: "retry" }).state.status).toBe("queued");
  });

  it("repeats the copy until a link is dead, then says that the result is lost", () => {
    const storing = LIVES.storing({});
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

describe("the alarm of a job that was just retried", () => {
  const storing = () => jobAfter(queued(), began, delivered(1), { type: "cancel" });
  const reading = () => jobAfter(LIVES.reading_task({}), { type: "cancel" });

  it.each([
    ["waits for its turn", LIVES.failed({})],
    ["stores images", storing()],
    ["resumes a task", reading()],
  ])("fires while the reservation for the retry still counts, when the job %s", (_how, ended) => {
    const retriedAtMs = T0 + HOUR;
    const retried = jobAfter(ended, { at: retriedAtMs }, { type: "retry" });
    expect(nextAlarmAtMs(retried, retriedAtMs, FRESH)).toBeLessThan(retriedAtMs + RECORD_DELAY_MS / 2);
  });
});

describe("a catalog that the submitter did not notify", () => {
  it("is notified by the job, unless a later entry was sent", () => {
    const believed = jobAfter(queued(), answered.record(1));
    expect(messages(believed, "record")).toEqual([]);
    const missed = { type: "catalog_missed", seq: 1 } as const;
    expect(messages(jobAfter(believed, missed), "record")).toMatchObject([{ payload: { seq: 1 } }]);
    const later = jobAfter(believed, { type: "cancel" }, answered.record(2));
    expect(messages(jobAfter(later, missed), "record")).toEqual([]);
  });

  it("gets only the newest entry", () => {
    const failed = jobAfter(queued(), began, { type: "call_failed", attempt: 1, failure: failure() });
    expect(messages(failed, "record")).toMatchObject([{ payload: { seq: failed.seq } }]);
    expect(jobAfter(failed, answered.record(1)).outbox).toEqual(failed.outbox);
  });
});

describe("a task that upstream does not know", () => {
  const unknown = { type: "task_lost", attempt: 1, failure: failure({ mayBeBilled: true }) } as const;

  const at = { at: T0 + LATE_MS };

  it("is read again while a late answer is awaited, however often that is the answer", () => {
    const early = jobAfter(LIVES.reading_task({}), { at: T0 + 1_000 }, unknown, unknown, unknown, unknown);
    expect(early.state).toMatchObject({ status: "running", phase: "generating" });
    expect(early.task?.taskId).toBe("task-1");
    expect(attemptOf(early, 1)?.cause?.message).toContain("its task cannot be read");
    // Those answers say nothing about later ones.
    expect(jobAfter(early, at, unknown, unknown).task?.taskId).toBe("task-1");
  });

  // All earlier reads hung, for example.
  it("is dropped after three such answers once no late answer is awaited any more", () => {
    const once = jobAfter(LIVES.reading_task({}), at, unknown);
    const twice = jobAfter(once, at, unknown);
    for (const job of [once, twice]) expect(job.task?.taskId).toBe("task-1");
    expect(jobAfter(twice, at, unknown)).toMatchObject({ task: null, state: { status: "retrying" } });
  });

  it("is kept when upstream knows it again in between", () => {
    const known = { type: "task_read", attempt: 1, failure: null } as const;
    const job = jobAfter(LIVES.reading_task({}), at, unknown, unknown, known, unknown, unknown);
    expect(job.task?.taskId).toBe("task-1");
    expect(jobAfter(job, at, unknown).task).toBeNull();
  });
});

describe("uploads that cannot be read", () => {
  const unreadable = { type: "uploads_unreadable", ticketNumber: 1, leased: true, reason: "R2 is down" } as const;

  it("give the lease back and ask again later, with growing delays, and count no attempt", () => {
    const once = jobAfter(LIVES["queued in its lane"]({}), unreadable);
    expect(once.attempts).toEqual([]);
    expect(messages(once, "leave")).toMatchObject([{ payload: { ticketNumber: 1 } }]);
    expect(messages(once, "enqueue")).toMatchObject([
      { notBeforeMs: T0 + 1_000, payload: { ticketNumber: 1, tries: 1 } },
    ]);
    const twice = jobAfter(once, unreadable);
    expect(messages(twice, "enqueue")).toMatchObject([{ notBeforeMs: T0 + 2_000, payload: { tries: 2 } }]);
    expect(messages(jobAfter(twice, { type: "cancel" }), "enqueue")).toEqual([]);
  });

  it("count no attempt either when they fail during the call, and are tried again with growing delays", () => {
    const broken = (attempt: number): JobFact => ({
      type: "call_failed",
      attempt,
      failure: failure({ fault: "none", counted: false }),
    });
    let job = queued({ maxAttempts: 1 });
    for (const [attempt, waitMs] of [
      [1, 1_000],
      [2, 2_000],
      [3, 4_000],
    ] as const) {
      job = jobAfter(job, began, broken(attempt));
      expect(job.state).toMatchObject({ status: "retrying", retryAtMs: T0 + waitMs });
      job = jobAfter(job, { type: "backoff_ended" });
    }
    expect(job.attempts.map(({ outcome, counted }) => [outcome, counted])).toEqual(Array(3).fill(["failed", false]));
  });

  it("are shown as what the job waits for, until its lane has answered", () => {
    const waiting = jobAfter(queued(), unreadable);
    expect(toJobView(waiting, null).queue).toMatchObject({ waitingOn: "backoff", reason: { failure: "R2 is down" } });
    expect(toJobView(jobAfter(waiting, answered.enqueue(1)), null).queue).toMatchObject({ waitingOn: "turn" });
  });
});

describe("a job that is retried by hand again and again", () => {
  /** The job after it began, ended by these facts, and was retried and its lane has answered. */
  const oneMoreLife = (job: JobRecord, nowMs: number, ...facts: readonly JobFact[]): JobRecord => {
    const ended = jobAfter(job, { at: nowMs }, began, ...facts);
    return { ...jobAfter({ ...ended, outbox: [] }, { type: "retry" }), log: [] };
  };

  it("stays small enough to be stored", () => {
    let job = queued({ n: 2 });
    for (let life = 0; life < 1_500; life += 1) {
      const attempt = job.lastAttempt + 1;
      job = oneMoreLife(job, T0 + life, { type: "call_failed", attempt, failure: failure({ disposition: "give_up" }) });
      // One image of two is delivered, and its link is dead.
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

  it("counts only failures of one kind against that kind's bound", () => {
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

  it("does not count a throttled attempt, and asks for the old place", () => {
    const back = jobAfter(queued(), began, {
      type: "call_failed",
      attempt: 1,
      failure: failure({ disposition: "put_back" }),
    });
    expect(attemptOf(back, 1)).toMatchObject({ outcome: "throttled", counted: false });
    expect(messages(back, "release")).toMatchObject([
      { payload: { ticketNumber: 1, requeue: 2, outcome: { kind: "throttled" } } },
    ]);
    expect(back.ticketNumber).toBe(2);
  });

  it("starts again by hand: attempts count from zero, the log continues", () => {
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

describe("a second task of one attempt", () => {
  const accepted = (taskId: string): JobFact => ({ type: "task_accepted", attempt: 1, taskId, report });
  const [first, second] = [accepted("task-1"), accepted("task-2")];

  it.each<[string, readonly (JobFact | typeof began)[]]>([
    ["while the first is read", [began, first]],
    ["after a retry by hand has resumed the first", [began, first, { type: "cancel" }, { type: "retry" }]],
  ])("is canceled, and never resumed without money for it: %s", (_when, steps) => {
    const job = jobAfter(pricedJob(), ...steps, second);
    expect(messages(job, "cancel_task").map(({ payload }) => payload.taskId)).toContain("task-2");
    const number = job.attempts.length;
    const after = jobAfter(job, { type: "call_failed", attempt: number, failure: failure() });
    expect(after.task).toBeNull();
  });
});

describe("a job that waits when its client gets a first limit", () => {
  const price = { currency: "USD", unitMicros: 75_000 };
  const waiting = () => jobAfter(newJobRecord(submission({}, { price }), T0), answered.enqueue(1));

  it.each(["ticket_check_due", "ticket_missing"] as const)("asks for no money for its first attempt: %s", (name) => {
    const asked = limitedAfter(waiting(), FACTS[name]);
    expect(messages(asked, "reserve")).toEqual([]);
    expect(messages(asked, "enqueue")).toMatchObject([{ payload: { ticketNumber: 1 } }]);
    const lost = limitedAfter(asked, began, { type: "call_lost", attempt: 1 }, { type: "backoff_ended" });
    expect(messages(lost, "reserve")).toMatchObject([{ payload: { number: 2 } }]);
  });

  it("asks for it once it is retried by hand, and names no console as long as nothing was called", () => {
    const canceled = jobAfter(waiting(), { type: "cancel" });
    const retried = limitedAfter(canceled, { type: "retry" });
    expect(messages(retried, "reserve")).toMatchObject([{ payload: { ticketNumber: 2, number: 1 } }]);
    expect(transition(retried, FACTS.ticket_check_due(), context({ isLimited: true })).ok).toBe(false);
    const { state } = limitedAfter(retried, outOfMoney(2));
    expect(state).toMatchObject({ error: { hint: expect.stringMatching(/^The limit starts again/) } });
  });

  it("is pointed to the console when an attempt may have been paid for", () => {
    const { state } = limitedAfter(asksForMoney(), outOfMoney(2));
    expect(state).toMatchObject({ error: { hint: expect.stringContaining("upstream console") } });
  });
});

describe("webhooks", () => {
  const webhook = { url: "https://example.com/", events: ["job.failed", "job.canceled"], origin: "", hops: 0 } as const;
  const notified = ({ outbox }: StoredRecord) =>
    outbox.flatMap((message) => (message.kind === "notify" ? [message.payload.seq] : []));
  const put = (record: StoredRecord, fact: JobFact, nowMs = T0): StoredRecord => {
    const result = transition(record, fact, context({ nowMs }));
    if (!result.ok) throw new Error(result.refusal);
    return result.record;
  };
  const job = newJobRecord(submission({}, { webhook }), T0);
  const told = (record: StoredRecord, seq: number, answer: Answers["notify"], nowMs = T0) =>
    put(record, { type: "message_answered", message: messageOf("notify", { seq }), answer }, nowMs);

  it("are sent for the requested events, each once, and for no others", () => {
    const canceled = put(job, { type: "cancel" });
    expect(notified(canceled)).toEqual([2]);
    const again = put(put(canceled, { type: "retry" }), { type: "cancel" });
    expect(notified(again)).toEqual([2, 4]);
    const failedOnly = newJobRecord(submission({}, { webhook: { ...webhook, events: ["job.failed"] } }), T0);
    expect(notified(put(failedOnly, { type: "cancel" }))).toEqual([]);
    expect(notified(put(newJobRecord(submission(), T0), { type: "cancel" }))).toEqual([]);
  });

  it("are sent for a job that is removed unfinished, and are still sent when a job is removed with events pending", () => {
    const removedRecord = put(job, { type: "remove", why: "deleted" });
    expect(removedRecord.kind).toBe("tombstone");
    expect(notified(removedRecord)).toEqual([2]);
    expect(notified(put(put(job, { type: "cancel" }), { type: "remove", why: "deleted" }))).toEqual([2]);
  });

  it("are sent in order: a later event waits for the next try of an earlier one", () => {
    const two = put(put(put(job, { type: "cancel" }), { type: "retry" }), { type: "cancel" });
    const waiting = told(two, 2, { state: "pending", nextAtMs: T0 + 5_000 });
    expect(nextMessage(waiting, "webhook", T0 + 4_999)).toBeNull();
    expect(nextMessage(waiting, "webhook", T0 + 5_000)).toMatchObject({ payload: { seq: 2 } });
    const delivered = told(waiting, 2, { state: "delivered", nextAtMs: null });
    expect(nextMessage(delivered, "webhook", T0)).toMatchObject({ payload: { seq: 4 } });
    expect(notified(told(delivered, 4, { state: "failed", nextAtMs: null }))).toEqual([]);
  });

  it("are kept for the newest hundred events, however often a job is retried while its receiver is down", () => {
    let record = put(job, { type: "cancel" });
    record = told(record, 2, { state: "pending", nextAtMs: T0 + 86_400_000 });
    for (let n = 0; n < 150; n++) record = put(put(record, { type: "retry" }), { type: "cancel" });
    const waiting = notified(record);
    expect(waiting).toHaveLength(100);
    expect(waiting.at(-1)).toBe(record.kind === "job" ? record.seq : 0);
    expect(waiting[0]).toBeGreaterThan(2);
  });

  it("end with a 410, for later events too, until a resend reaches the receiver", () => {
    const two = put(put(put(job, { type: "cancel" }), { type: "retry" }), { type: "cancel" });
    const gone = told(two, 2, { state: "gone", nextAtMs: null });
    expect(notified(gone)).toEqual([]);
    const later = put(put(gone, { type: "retry" }), { type: "cancel" });
    expect(notified(later)).toEqual([]);
    const resent = put(later, { type: "resend", seq: 2 });
    expect(notified(resent)).toEqual([2]);
    const reached = told(resent, 2, { state: "delivered", nextAtMs: null });
    expect(notified(put(put(reached, { type: "retry" }), { type: "cancel" }))).toEqual([8]);
  });
});
