import { BUSY_FROM, COMPATIBLE_FROM, OPERATED_FROM, VARIED_FROM } from "./plan.ts";
import type { Patch } from "./platform/hooks.ts";

/** A fault that is planted in the product: a change of one line, and the invariant that it breaks. */
export interface PlantedFault {
  readonly name: string;
  readonly story: string;
  readonly patch: Patch;
  readonly breaks: string;
  /** The first seed that finds it. */
  readonly seed: number;
  /** From which seed on it is looked for; absent: 1. */
  readonly from?: number;
  /** The fault is found within this many seeds, even after other changes. */
  readonly withinSeeds: number;
}

const ENDS = "every job ends";

export const PLANTED: readonly PlantedFault[] = [
  {
    name: "change not stored",
    story: "A change of a job stays in memory, like a write that is not awaited and fails.",
    patch: {
      file: "worker/job/job-engine.ts",
      find: "else this.store.save(after);",
      replace: "else this.store.keepInMemory(after);",
    },
    breaks: "what was shown is durable",
    seed: 1,
    withinSeeds: 100,
  },
  {
    name: "alarm not armed",
    story: "A job sets no alarm: after a reset nothing wakes it.",
    patch: {
      file: "worker/job/job-store.ts",
      find: "else void this.#storage.setAlarm(atMs);",
      replace: "else void atMs;",
    },
    breaks: ENDS,
    seed: 2,
    withinSeeds: 100,
  },
  {
    name: "others not canceled",
    story: "When one attempt delivers, the one beside it continues.",
    patch: {
      file: "worker/job/core/attempt-moves.ts",
      find: "  change.callOff(number);\n  billTaskOnce(change, number, full.taskId);",
      replace: "  billTaskOnce(change, number, full.taskId);",
    },
    breaks: ENDS,
    seed: 51,
    withinSeeds: 400,
  },
  {
    name: "release lost",
    story: "A lease that ended is not given back to its lane.",
    patch: {
      file: "worker/job/core/change.ts",
      find: 'this.send(messageOf("release", { ...lease, ...ticket, outcome, requeue }));',
      replace: "void [ticket, outcome, requeue];",
    },
    breaks: "a lease is given back when its attempt is over",
    seed: 2,
    withinSeeds: 200,
  },
  {
    name: "ticket not enqueued again",
    story: "A job that waits again does not ask its lane.",
    patch: {
      file: "worker/job/core/change.ts",
      find: 'this.send(messageOf("enqueue", { ticketNumber: this.job.ticketNumber, tries: 0, reason: null }));',
      replace: "",
    },
    breaks: ENDS,
    seed: 42,
    withinSeeds: 100,
  },
  {
    name: "links stored after copying",
    story: "The links that upstream delivered are kept in memory until the images are copied.",
    patch: {
      file: "worker/job/job-engine.ts",
      find: "if (!SOFT_FACTS.has(fact.type)) return false;",
      replace: 'if (fact.type === "delivered") return true;\n  if (!SOFT_FACTS.has(fact.type)) return false;',
    },
    breaks: "no image is made again once upstream's answer was kept",
    seed: 22,
    withinSeeds: 300,
  },
  {
    name: "task not stored",
    story: "The id of a task that upstream accepted is kept in memory only.",
    patch: {
      file: "worker/job/job-engine.ts",
      find: "if (!SOFT_FACTS.has(fact.type)) return false;",
      replace: 'if (fact.type === "task_accepted") return true;\n  if (!SOFT_FACTS.has(fact.type)) return false;',
    },
    breaks: "no image is made again once upstream's answer was kept",
    seed: 1,
    withinSeeds: 300,
  },
  {
    name: "late lease taken",
    story: "A job begins by a lease whose last moment has passed.",
    patch: {
      file: "worker/job/attempt.ts",
      find: "Date.now() > lease.beginByMs",
      replace: "lease.beginByMs < 0",
    },
    breaks: "no quota window is broken",
    seed: 290,
    withinSeeds: 1_000,
  },
  {
    name: "offers not counted",
    story: "A lane counts the start of an offer only when the job answers.",
    patch: {
      file: "worker/lane/core/lane-state.ts",
      find: "return state.offers.reduce((window, offer) => addStart(window, offer.beginByMs, quota), state.starts);",
      replace: "void quota;\n  return state.starts;",
    },
    breaks: "no quota window is broken",
    seed: 4,
    withinSeeds: 300,
  },
  {
    name: "lane forgets",
    story: "A lane's starts are in memory only.",
    patch: {
      file: "worker/lane/core/lane.ts",
      find: "if (this.#state !== this.#saved) this.#storage.saveState(this.#state);",
      replace: "",
    },
    breaks: "no quota window is broken",
    seed: 2,
    withinSeeds: 300,
  },
  {
    name: "lost lease kept",
    story: "A lane never ends a lease that is not given back.",
    patch: {
      file: "worker/lane/core/lane.ts",
      find: "const LEASE_SLACK_MS = 30_000;",
      replace: "const LEASE_SLACK_MS = 30_000_000_000;",
    },
    breaks: "no object wakes for ever",
    seed: 1,
    withinSeeds: 300,
  },
  {
    name: "gone job comes back",
    story: "A catalog takes the late word of a job that was removed.",
    patch: {
      file: "worker/catalog/catalog-store.ts",
      find: "known.status === GONE || !isNewer(newer, known)",
      replace: "!isNewer(newer, known)",
    },
    breaks: "a job that is gone stays gone in the feed",
    seed: 45,
    withinSeeds: 300,
  },
  {
    name: "catalog not notified",
    story: "A job does not tell its catalog of its changes.",
    patch: {
      file: "worker/job/core/change.ts",
      find: 'this.send(messageOf("record", { seq }));',
      replace: "",
    },
    breaks: "the list agrees with the jobs",
    seed: 1,
    withinSeeds: 100,
  },
  {
    name: "files left behind",
    story: "The files of a removed job stay in the bucket.",
    patch: {
      file: "worker/job/core/change.ts",
      find: 'this.send(messageOf("remove_files", null));',
      replace: "",
    },
    breaks: "nothing is left in R2 of a job that is gone",
    seed: 5,
    withinSeeds: 50,
  },
  {
    name: "bill forgotten",
    story: "An attempt whose process died says that nothing can have been billed.",
    patch: {
      file: "worker/job/core/attempt-moves.ts",
      find: 'outcome: "interrupted", counted: true, mayBeBilled: true,',
      replace: 'outcome: "interrupted", counted: true, mayBeBilled: false,',
    },
    breaks: "mayBeBilled wherever something may have been billed",
    seed: 1,
    withinSeeds: 200,
  },
  {
    name: "never expires",
    story: "A finished job sets no alarm for the end of its retention.",
    patch: {
      file: "worker/job/core/schedule.ts",
      find: "return pinned === true ? [] : [expiresAtMs];",
      replace: "return [];",
    },
    breaks: "nothing is left of a job that is gone",
    seed: 1,
    withinSeeds: 50,
  },
  {
    name: "event left out",
    story: "A watcher that catches up misses the first event after the one it has.",
    patch: {
      file: "worker/job/job-store.ts",
      find: "if (event.seq > after) events.push(event);",
      replace: "if (event.seq > after + 1 || after === 0) events.push(event);",
    },
    breaks: "events are gapless for a watcher",
    seed: 4,
    withinSeeds: 300,
  },
  {
    name: "another key each time",
    story: "The client library repeats a submission under another key.",
    patch: {
      file: "client/api-call.ts",
      find: "    ...call.headers,",
      replace:
        '    ...call.headers,\n    ...(call.idempotencyKey === undefined ? {} : { "Idempotency-Key": JSON.stringify(Math.random().toString()) }),',
    },
    breaks: "one submission makes one job",
    seed: 1,
    withinSeeds: 100,
  },
  {
    name: "waiting breaks the answer",
    story: "A submission that is stored is answered with an error when waiting for its job fails.",
    patch: {
      file: "worker/http/submit.ts",
      find: 'console.error({ event: "wait_failed", jobId: placed.id, error: String(error) });',
      replace: "throw error;",
    },
    breaks: "a stored submission is answered 202",
    seed: 1,
    withinSeeds: 300,
  },
  {
    name: "read waits for the lane",
    story: "A read of a job waits for its lane as long as it takes.",
    patch: {
      file: "worker/job/queue-place.ts",
      find: "const READ_WAIT_MS = 300;",
      replace: "const READ_WAIT_MS = 30_000;",
    },
    breaks: "a read never waits for another object longer than 300 ms",
    seed: 16,
    withinSeeds: 200,
  },
  {
    name: "522 counts as not sent",
    story: "A connection that times out after the request was sent counts as one on which nothing was sent.",
    patch: {
      file: "worker/dashscope/failure-table.ts",
      find: "mayBeBilled: true,\n    message: \"DashScope's connection timed out",
      replace: "mayBeBilled: false,\n    message: \"DashScope's connection timed out",
    },
    breaks: "mayBeBilled wherever something may have been billed",
    seed: 51,
    withinSeeds: 600,
  },
  {
    name: "unknown task dropped",
    story: "A task that upstream does not know yet is dropped, and another is paid for.",
    patch: {
      file: "worker/job/core/task-moves.ts",
      find: "if (unknownReads < UNKNOWN_READS) {",
      replace: "if (change.nowMs < task.acceptedAtMs) {",
    },
    breaks: "no image is made again once upstream's answer was kept",
    seed: 99,
    withinSeeds: 300,
  },
  {
    name: "files not removed once more",
    story: "A file that lands after the removal of its job's files stays.",
    patch: {
      file: "worker/job/core/request-moves.ts",
      find: '    change.setTombstone({ isSwept: true });\n    change.send(messageOf("remove_files", null));',
      replace: "    change.setTombstone({ isSwept: true });",
    },
    breaks: "nothing is left in R2 of a job that is gone",
    seed: 550,
    withinSeeds: 2_000,
  },
  {
    name: "uploads without an alarm",
    story: "Uploads whose submission never comes are not removed.",
    patch: {
      file: "worker/job/uploads.ts",
      find: "    await this.#storage.setAlarm(latestMs + REMOVE_AFTER_MS);\n    await this.#storage.sync();",
      replace: "    await this.#storage.sync();",
    },
    breaks: "nothing is left in R2 of a job that is gone",
    seed: 15,
    withinSeeds: 300,
  },
  {
    name: "at risk not counted",
    story: "A reservation leaves out what may have been paid already.",
    patch: {
      file: "worker/spend/core/ledger.ts",
      find: "usedMicros(this.totals(nowMs)) + moreMicros > limitMicros",
      replace: "usedMicros({ ...this.totals(nowMs), atRiskMicros: 0 }) + moreMicros > limitMicros",
    },
    breaks: "no client passes its spend limit",
    seed: 2,
    withinSeeds: 300,
  },
  {
    name: "repeat not reserved",
    story: "An attempt beside one that may have been billed starts without a reservation.",
    patch: {
      file: "worker/job/core/change.ts",
      find: "return this.context.isLimited && spend !== undefined && unusedGrants(spend, attempts) === 0;",
      replace: "return this.context.isLimited && spend !== undefined && unusedGrants(spend, attempts) < 0;",
    },
    breaks: "no client passes its spend limit",
    seed: 18,
    withinSeeds: 300,
  },
  {
    name: "risk forgotten",
    story: "An attempt that ended without an answer costs its job nothing.",
    patch: {
      file: "worker/spend/core/position.ts",
      find: "atRiskMicros: isAtRisk ? estimateMicros(n, unitMicros) : 0,",
      replace: "atRiskMicros: isAtRisk && n < 0 ? estimateMicros(n, unitMicros) : 0,",
    },
    breaks: "upstream's bill of a job lies within its cost",
    seed: 1,
    withinSeeds: 100,
  },
  {
    name: "booked again",
    story: "A client's books add a job's whole cost with each of its entries.",
    patch: {
      file: "worker/spend/core/ledger.ts",
      find: 'const before = known === null || known === "gone" ? NOTHING_SPENT : known.position;',
      replace: "const before = NOTHING_SPENT;\n    void known;",
    },
    breaks: "upstream's bill of a client lies within its books",
    seed: 3,
    withinSeeds: 100,
  },
  {
    name: "grant kept",
    story: "A client's books never end a reservation whose job was not made.",
    patch: {
      file: "worker/catalog/client-catalog.ts",
      find: "if (unused.length > 0) this.#ledger.release(unused, askedAtMs);",
      replace: "void unused;",
    },
    breaks: "nothing is reserved once every job is over",
    seed: 46,
    withinSeeds: 300,
  },
  {
    name: "alert not sent again",
    story: "A client's alert whose try failed, or was cut off, is not sent again.",
    patch: {
      file: "worker/catalog/budget-alert.ts",
      find: "for (const { nextAtMs } of this.#stored()) if (nextAtMs !== null) this.#host.arm(nextAtMs);",
      replace:
        "for (const { nextAtMs, delivery } of this.#stored()) if (delivery?.tries.length === 0) this.#host.arm(nextAtMs ?? 0);",
    },
    breaks: "every event arrives, or its log says why not",
    seed: 251,
    withinSeeds: 300,
  },
  {
    name: "pause forgotten",
    story: "A lane that the operator paused gives leases.",
    patch: {
      file: "worker/lane/core/lane.ts",
      find: "return this.#settings.misconfigured !== null || this.#state.control.pause !== null;",
      replace: "return this.#settings.misconfigured !== null;",
    },
    breaks: "nothing starts while it is paused",
    seed: 2_000_079,
    from: OPERATED_FROM,
    withinSeeds: 300,
  },
  {
    name: "limit forgotten",
    story: "A lane keeps to its deployment's quota although the operator limited it.",
    patch: {
      file: "worker/lane/core/control.ts",
      find: "return control.limit === null ? quota : { ...quota, ...control.limit.change };",
      replace: "return quota;",
    },
    breaks: "no quota window is broken",
    seed: 6_000_049,
    from: BUSY_FROM,
    withinSeeds: 100,
  },
  {
    name: "pause of a client forgotten",
    story: "A lane starts a job of a paused client when it asks while nothing waits.",
    patch: {
      file: "worker/lane/core/lane.ts",
      find: "grantAtMs !== null && grantAtMs <= now && !this.#isClientHeld(ticket.client);",
      replace: "grantAtMs !== null && grantAtMs <= now;",
    },
    breaks: "nothing starts while it is paused",
    seed: 2_000_384,
    from: OPERATED_FROM,
    withinSeeds: 600,
  },
  {
    name: "note not listed",
    story: "A job does not tell its catalog of new metadata.",
    patch: {
      file: "worker/job/core/request-moves.ts",
      find: 'change.send(messageOf("record", { seq: job.seq, revision: job.revision + 1 }));',
      replace: "void messageOf;",
    },
    breaks: "the list agrees with the jobs",
    seed: 2_000_001,
    from: OPERATED_FROM,
    withinSeeds: 100,
  },
  {
    name: "retry's key not kept",
    story: "A job does not keep the Idempotency-Key of its retry, so a repetition is another retry.",
    patch: {
      file: "worker/job/core/request-moves.ts",
      find: "...(key === null && change.job.retryKey == null ? {} : { retryKey: key }),",
      replace: "...(key === null ? {} : {}),",
    },
    breaks: "a repeated retry is one retry",
    seed: 2_000_098,
    from: OPERATED_FROM,
    withinSeeds: 400,
  },
  {
    name: "mark not taken",
    story: "A client of the OpenAI-compatible API that repeats its request gets another job.",
    patch: {
      file: "worker/catalog/held-answers.ts",
      find: "own ?? markToTake(marks, { isRepeat, hiddenHangUpMs }, nowMs);",
      replace: "own ?? (nowMs < 0 ? markToTake(marks, { isRepeat, hiddenHangUpMs }, nowMs) : undefined);",
    },
    breaks: "a client's own repeat takes its job",
    seed: 3_000_000,
    from: COMPATIBLE_FROM,
    withinSeeds: 100,
  },
  {
    name: "first unknown trusted",
    story: "One answer that upstream does not know a task is enough, once no late answer is awaited any more.",
    patch: {
      file: "worker/job/core/task-moves.ts",
      find: "export const UNKNOWN_READS = 3;",
      replace: "export const UNKNOWN_READS = 1;",
    },
    breaks: "no image is made again once upstream's answer was kept",
    seed: 1_102_086,
    from: 1_102_086,
    withinSeeds: 1,
  },
  {
    name: "clocks trusted",
    story: "A lane's window is no longer than its quota's, though the clocks of jobs differ from the lane's.",
    patch: {
      file: "worker/lane/core/quota-window.ts",
      find: "export const SAFETY_MARGIN = 0.01;",
      replace: "export const SAFETY_MARGIN = 0;",
    },
    breaks: "no quota window is broken",
    seed: 4_000_007,
    from: VARIED_FROM,
    withinSeeds: 100,
  },
];

export function plantedFault(name: string): PlantedFault {
  const found = PLANTED.find((fault) => fault.name === name);
  if (found !== undefined) return found;
  const names = PLANTED.map((each) => each.name).join(", ");
  throw new Error(`no planted fault is called ${JSON.stringify(name)}; there are: ${names}`);
}
