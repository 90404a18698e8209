import type { Patch } from "./platform/hooks.ts";

/** A fault put into the product on purpose: one line, and the invariant that it breaks. */
export interface PlantedFault {
  readonly name: string;
  readonly story: string;
  readonly patch: Patch;
  readonly breaks: string;
  /** The first seed from 1 on that finds it. */
  readonly seed: number;
  /** No more seeds than this are needed, whatever else changes. */
  readonly withinSeeds: number;
}

const ENDS = "every job ends";

export const PLANTED: readonly PlantedFault[] = [
  {
    name: "change not stored",
    story: "A change of a job stays in memory, as a write that nobody awaits and that fails.",
    patch: {
      file: "worker/job/job-engine.ts",
      find: "else this.store.save(result.record);",
      replace: "else this.store.keepInMemory(result.record);",
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
    name: "others not called off",
    story: "When one attempt delivers, the one beside it goes on.",
    patch: {
      file: "worker/job/core/attempt-transitions.ts",
      find: "  change.callOff(number);\n  billOnce(change, number, full.taskId);",
      replace: "  billOnce(change, number, full.taskId);",
    },
    breaks: "no attempt outlasts its job",
    seed: 48,
    withinSeeds: 400,
  },
  {
    name: "release lost",
    story: "A lease that ended is not given back to its lane.",
    patch: {
      file: "worker/job/core/change.ts",
      find: "this.outbox({ releases: [...this.record.outbox.releases, { lane, leaseId, outcome, requeueRound }] });",
      replace: "void [lane, leaseId, outcome, requeueRound];",
    },
    breaks: "a lease is given back when its attempt is over",
    seed: 2,
    withinSeeds: 200,
  },
  {
    name: "ticket not enqueued again",
    story: "A job that waits again does not ask its lane.",
    patch: {
      file: "worker/job/core/schedule.ts",
      find: 'return record.state.status === "queued" && record.state.lane === null && !requeued;',
      replace:
        'return record.round === 1 && record.state.status === "queued" && record.state.lane === null && !requeued;',
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
      find: 'const SOFT: ReadonlySet<JobFact["type"]> = new Set([',
      replace: 'const SOFT: ReadonlySet<JobFact["type"]> = new Set(["delivered", ',
    },
    breaks: "no image is made again once upstream's answer was kept",
    seed: 18,
    withinSeeds: 300,
  },
  {
    name: "task not stored",
    story: "The id of a task that upstream accepted is kept in memory only.",
    patch: {
      file: "worker/job/job-engine.ts",
      find: 'const SOFT: ReadonlySet<JobFact["type"]> = new Set([',
      replace: 'const SOFT: ReadonlySet<JobFact["type"]> = new Set(["task_accepted", ',
    },
    breaks: "no image is made again once upstream's answer was kept",
    seed: 1,
    withinSeeds: 300,
  },
  {
    name: "late lease taken",
    story: "A job begins by a lease whose last moment has passed.",
    patch: {
      file: "worker/job/job-engine.ts",
      find: "Date.now() <= lease.beginByMs",
      replace: "lease.beginByMs > 0",
    },
    breaks: "no quota window is broken",
    seed: 37,
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
    name: "start of a lost lease not counted",
    story: "A job that leaves may have begun by an offer; its start is not counted.",
    patch: {
      file: "worker/lane/core/lane.ts",
      find: 'left: { start: "unknown", ticket: "gone" },',
      replace: 'left: { start: "not made", ticket: "gone" },',
    },
    breaks: "no quota window is broken",
    seed: 1,
    withinSeeds: 1_000,
  },
  {
    name: "lost lease kept",
    story: "A lane never ends a lease that nobody gives back.",
    patch: {
      file: "worker/lane/core/lane.ts",
      find: "const LEASE_SLACK_MS = 30_000;",
      replace: "const LEASE_SLACK_MS = 30_000_000_000;",
    },
    breaks: "nothing is left in the lane of a job that is over",
    seed: 116,
    withinSeeds: 300,
  },
  {
    name: "gone job comes back",
    story: "A catalog takes the late word of a job that was removed.",
    patch: {
      file: "worker/catalog/catalog-store.ts",
      find: "known.status === GONE || known.seq >= entry.seq",
      replace: "known.seq >= entry.seq",
    },
    breaks: "a job that is gone stays gone in the feed",
    seed: 1,
    withinSeeds: 300,
  },
  {
    name: "catalog not told",
    story: "A job does not tell its catalog of its changes.",
    patch: {
      file: "worker/job/outbox-courier.ts",
      find: "if (outbox.catalogSeq >= record.seq) return false;",
      replace: "if (outbox.catalogSeq > 0) return false;",
    },
    breaks: "the list agrees with the jobs",
    seed: 1,
    withinSeeds: 100,
  },
  {
    name: "files left behind",
    story: "The files of a removed job stay in the bucket.",
    patch: {
      file: "worker/job/core/request-transitions.ts",
      find: "filesRemain: true,",
      replace: "filesRemain: false,",
    },
    breaks: "nothing is left in R2 of a job that is gone",
    seed: 1,
    withinSeeds: 50,
  },
  {
    name: "bill forgotten",
    story: "An attempt whose process died says that nothing can have been billed.",
    patch: {
      file: "worker/job/core/time-transitions.ts",
      find: 'outcome: "interrupted",\n        counted: true,\n        mayBeBilled: true,',
      replace: 'outcome: "interrupted",\n        counted: true,\n        mayBeBilled: false,',
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
      find: "if (record.expiresAtMs !== null) times.push(record.expiresAtMs);",
      replace: "",
    },
    breaks: "nothing is left of a job that is gone",
    seed: 1,
    withinSeeds: 50,
  },
  {
    name: "event left out",
    story: "Whoever catches up misses the first event after the one it has.",
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
    name: "place given back too early",
    story: "A submission whose answer is lost gives its place in the client's limit back.",
    patch: {
      file: "worker/http/submit-routes.ts",
      find: "isUnused = error instanceof ProblemError;",
      replace: "isUnused = true;",
    },
    breaks: "no client has more unfinished jobs than allowed",
    seed: 1,
    withinSeeds: 2_000,
  },
];

export function plantedFault(name: string): PlantedFault {
  const found = PLANTED.find((fault) => fault.name === name);
  if (found !== undefined) return found;
  const names = PLANTED.map((each) => each.name).join(", ");
  throw new Error(`no planted fault is called ${JSON.stringify(name)}; there are: ${names}`);
}
