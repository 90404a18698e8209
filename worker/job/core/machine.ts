import type { JobStatus } from "../../../schemas/job.ts";
import {
  attemptBegan,
  budgetEnded,
  callFailed,
  callLost,
  delivered,
  imageStored,
  lateWindowEnded,
  storeFailed,
  uploadMissing,
  uploadsUnreadable,
} from "./attempt-moves.ts";
import { Change, type Moment } from "./change.ts";
import type { FactOf, FactRefusal, FactType, JobContext, JobFact } from "./facts.ts";
import { attemptOf, type StoredRecord } from "./record.ts";
import {
  annotate,
  backoffEnded,
  budgetExceeded,
  cancel,
  catalogMissed,
  deadlinePassed,
  keyReused,
  messageAnswered,
  remove,
  resend,
  retry,
  ticketCheckDue,
  ticketMissing,
  tombstoneEnded,
} from "./request-moves.ts";
import { taskAccepted, taskFoundCanceled, taskLost, taskRead } from "./task-moves.ts";

/*
 * The job's state machine. A job is in one place; a fact (something that happened or is asked for) moves it to another, or is
 * refused. `MACHINE` is all of it: which facts each place takes, which function handles them, and which places they may lead to.
 * Pure. Every fact may come in any place, twice, or late. README's diagram and the table in docs/architecture.md are made from
 * this file.
 */

interface PlaceText {
  /** The status that the API shows; null once the job is removed. */
  readonly status: JobStatus | null;
  readonly is: string;
  /** Who moves a job out of this place, and when. */
  readonly left: string;
}

export const PLACES = {
  queued: {
    status: "queued",
    is: "Waits in its lane, or asks the lane for a place.",
    left: "The lane, by a lease when it is the job's turn. An answer to an earlier call that is still open. The catalog, when the client's spend limit has no room. A lost upload. The alarm, at the deadline.",
  },
  generating: {
    status: "running",
    is: "One attempt runs: its call to upstream is open and within its budget.",
    left: "Upstream's answer. The alarm, when the budget or the deadline is over, or when the call was lost in a crash.",
  },
  reading_task: {
    status: "running",
    is: "One attempt runs, and upstream holds its task, which is read until it ends.",
    left: "Upstream, when the task has ended. The alarm, when the budget or the deadline is over; the next attempt resumes the task.",
  },
  awaiting_answer: {
    status: "running",
    is: "No attempt may start any more, but calls past their budget are still open.",
    left: "A late answer. The alarm, when the last call has closed, or at the deadline.",
  },
  storing: {
    status: "running",
    is: "Upstream has delivered and the links are stored; the images are being copied.",
    left: "The copy of the last image, or the end of its link. There is no deadline here: the images are paid for.",
  },
  retrying: {
    status: "retrying",
    is: "Waits out a backoff. Earlier calls may still be open; upstream may hold a task.",
    left: "The alarm, at the end of the backoff or at the deadline. A late answer.",
  },
  succeeded: {
    status: "succeeded",
    is: "Every image that could be copied is stored.",
    left: "The alarm, when retention is over, unless it is pinned. A deletion.",
  },
  failed: {
    status: "failed",
    is: "Given up, with the reason as `error`.",
    left: "A retry by hand. The alarm, when retention is over, unless it is pinned. A deletion.",
  },
  canceled: {
    status: "canceled",
    is: "Canceled by its client. Links and an upstream task are kept for a retry.",
    left: "A retry by hand. The alarm, when retention is over, unless it is pinned. A deletion.",
  },
  removed: {
    status: null,
    is: "A tombstone that answers 410, and cleans up what the job left elsewhere.",
    left: "The alarm, as long after the removal as a job is kept, and not before the job that took over its key: then nothing is left.",
  },
} as const satisfies Record<string, PlaceText>;

export type Place = keyof typeof PLACES;

/** The places of a job that is not over. */
type Unfinished = "queued" | "generating" | "reading_task" | "awaiting_answer" | "storing" | "retrying";

/** Where the record is. */
export function placeOf(record: StoredRecord): Place {
  if (record.kind === "tombstone") return "removed";
  const { state, task } = record;
  if (state.status !== "running") return state.status;
  if (state.phase === "storing") return "storing";
  if (attemptOf(record, state.attempt)?.outcome !== null) return "awaiting_answer";
  return task?.attempt === state.attempt ? "reading_task" : "generating";
}

interface Move<Type extends FactType> {
  /** What happened, for the diagram. */
  readonly text: string;
  readonly do: (change: Change, fact: FactOf<Type>) => FactRefusal | null;
  /** The places in which the fact is taken, with the places that it may lead to besides staying. Refused in all others. */
  readonly in: { readonly [From in Place]?: readonly Place[] };
}

const UNFINISHED_STAY = {
  queued: [],
  generating: [],
  reading_task: [],
  awaiting_answer: [],
  storing: [],
  retrying: [],
} as const satisfies Record<Unfinished, readonly Place[]>;

const ALL_STAY = { ...UNFINISHED_STAY, succeeded: [], failed: [], canceled: [] } as const;

const UNFINISHED_TO = <To extends Place>(to: To): Record<Exclude<Unfinished, "storing">, readonly [To]> => ({
  queued: [to],
  generating: [to],
  reading_task: [to],
  awaiting_answer: [to],
  retrying: [to],
});

export const MACHINE: { readonly [Type in FactType]: Move<Type> } = {
  // From its lane: an attempt may begin.
  attempt_began: { text: "its turn", do: attemptBegan, in: { queued: ["generating"] } },
  uploads_unreadable: { text: "uploads unreadable", do: uploadsUnreadable, in: { queued: [] } },
  upload_missing: { text: "upload gone", do: uploadMissing, in: { queued: ["failed"] } },
  ticket_missing: { text: "ticket lost", do: ticketMissing, in: { queued: [] } },
  ticket_check_due: { text: "time to ask the lane", do: ticketCheckDue, in: { queued: [] } },

  // From its client's catalog.
  budget_exceeded: { text: "spend limit reached", do: budgetExceeded, in: { queued: ["failed", "awaiting_answer"] } },

  // From upstream: the outcome of a call or a task.
  task_accepted: {
    text: "task accepted",
    do: taskAccepted,
    in: { ...ALL_STAY, queued: ["reading_task"], generating: ["reading_task"], removed: [] },
  },
  delivered: { text: "images delivered", do: delivered, in: UNFINISHED_TO("storing") },
  call_failed: {
    text: "upstream failed or refused",
    do: callFailed,
    in: {
      queued: ["failed"],
      generating: ["retrying", "queued", "awaiting_answer", "failed"],
      reading_task: ["retrying", "queued", "awaiting_answer", "failed"],
      awaiting_answer: ["retrying", "failed"],
      retrying: ["awaiting_answer", "failed"],
    },
  },
  task_lost: {
    text: "task unknown",
    do: taskLost,
    in: {
      queued: [],
      generating: ["retrying", "awaiting_answer", "failed"],
      reading_task: ["retrying", "awaiting_answer", "failed"],
      awaiting_answer: ["retrying", "failed"],
      retrying: ["awaiting_answer", "failed"],
    },
  },
  task_read: {
    text: "task read",
    do: taskRead,
    in: { generating: [], reading_task: [], awaiting_answer: [], retrying: [] },
  },
  task_found_canceled: {
    text: "task canceled",
    do: taskFoundCanceled,
    in: {
      generating: ["failed"],
      reading_task: ["queued", "retrying", "awaiting_answer", "failed"],
      awaiting_answer: ["retrying", "failed"],
      retrying: ["awaiting_answer", "failed"],
    },
  },
  call_lost: {
    text: "crash",
    do: callLost,
    in: {
      queued: [],
      generating: ["retrying", "awaiting_answer", "failed"],
      reading_task: [],
      awaiting_answer: ["retrying", "failed"],
      retrying: [],
    },
  },

  // From the clock.
  budget_ended: {
    text: "budget over",
    do: budgetEnded,
    in: { generating: ["retrying", "awaiting_answer", "failed"], reading_task: ["retrying"] },
  },
  late_window_ended: {
    text: "no late answer",
    do: lateWindowEnded,
    in: { queued: [], generating: [], reading_task: [], awaiting_answer: ["retrying", "failed"], retrying: [] },
  },
  backoff_ended: { text: "backoff over", do: backoffEnded, in: { retrying: ["queued", "reading_task"] } },
  deadline_passed: { text: "deadline", do: deadlinePassed, in: UNFINISHED_TO("failed") },

  // From the bucket.
  image_stored: { text: "every image stored", do: imageStored, in: { storing: ["succeeded"] } },
  store_failed: { text: "image lost", do: storeFailed, in: { storing: ["succeeded", "failed"] } },

  // From clients.
  cancel: { text: "cancel", do: cancel, in: { ...UNFINISHED_TO("canceled"), storing: ["canceled"], canceled: [] } },
  retry: {
    text: "retry",
    do: retry,
    in: { failed: ["queued", "reading_task"], canceled: ["queued", "storing", "reading_task"] },
  },
  annotate: { text: "pinned or unpinned", do: annotate, in: ALL_STAY },
  resend: { text: "resend", do: resend, in: ALL_STAY },
  remove: {
    text: "deletion, or end of retention",
    do: remove,
    in: {
      ...UNFINISHED_TO("removed"),
      storing: ["removed"],
      succeeded: ["removed"],
      failed: ["removed"],
      canceled: ["removed"],
    },
  },
  key_reused: { text: "key used again", do: keyReused, in: { removed: [] } },
  tombstone_ended: { text: "tombstone's time over", do: tombstoneEnded, in: { removed: [] } },

  // From the receivers of messages.
  message_answered: {
    // The one answer that moves a job.
    text: "task canceled",
    do: messageAnswered,
    in: {
      ...ALL_STAY,
      removed: [],
      reading_task: ["queued"],
      awaiting_answer: ["retrying", "failed"],
    },
  },
  catalog_missed: { text: "catalog not notified", do: catalogMissed, in: { ...ALL_STAY, removed: [] } },
};

export type TransitionResult =
  | { readonly ok: true; readonly record: StoredRecord; readonly moments: readonly Moment[] }
  | { readonly ok: false; readonly refusal: FactRefusal };

/** The record after a fact, or why the fact changes nothing. Throws on a move that the table does not have: that is a bug. */
export function transition(record: StoredRecord, fact: JobFact, context: JobContext): TransitionResult {
  const from = placeOf(record);
  const targets = MACHINE[fact.type].in[from];
  if (targets === undefined) return { ok: false, refusal: refusalIn(from, fact.type) };
  const change = new Change(record, context);
  const refusal = apply(change, fact);
  if (refusal !== null) return { ok: false, refusal };
  const after = change.done(record);
  const to = placeOf(after);
  if (to !== from && !targets.includes(to)) throw new Error(`illegal move: ${from} × ${fact.type} → ${to}`);
  return { ok: true, record: after, moments: change.moments };
}

function apply<Type extends FactType>(change: Change, fact: FactOf<Type>): FactRefusal | null {
  return MACHINE[fact.type].do(change, fact);
}

function refusalIn(place: Place, type: FactType): FactRefusal {
  if (place === "removed") return "removed";
  if (type === "retry") return place === "succeeded" ? "finished" : "not_finished";
  return place === "succeeded" || place === "failed" || place === "canceled" ? "finished" : "stale";
}

/** Every change of status, with the facts that cause it: the edges of README's diagram. */
export function statusEdges(): { readonly from: string; readonly to: string; readonly texts: readonly string[] }[] {
  const edges = new Map<string, { readonly from: string; readonly to: string; readonly texts: Set<string> }>();
  for (const from of Object.keys(PLACES) as Place[]) {
    for (const { text, in: places } of Object.values<{ text: string; in: Move<FactType>["in"] }>(MACHINE)) {
      for (const target of places[from] ?? []) {
        const [before, after] = [statusOf(from), statusOf(target)];
        if (before === after) continue;
        const edge = edges.get(`${before} ${after}`) ?? { from: before, to: after, texts: new Set() };
        edge.texts.add(text);
        edges.set(`${before} ${after}`, edge);
      }
    }
  }
  return [...edges.values()].map(({ from, to, texts }) => ({ from, to, texts: [...texts] }));
}

const statusOf = (place: Place): string => PLACES[place].status ?? "removed";
