import type { LeaseOutcome } from "../../lane/contract.ts";
import { type Message, messageOf, withMessage } from "./outbox.ts";
import { type AttemptRecord, type JobRecord, RECORD_VERSION, type StoredRecord, type Tombstone } from "./record.ts";
import { leaseEndMs } from "./task-moves.ts";

/*
 * The only place that knows how records looked before. `worker/job/stored/version-N.json` holds records of each version, and a test
 * resumes each of them.
 */

/** Version 1 had no number, five fields for what was to be sent, and called a ticket's number a round. */
interface Outbox1 {
  readonly releases: readonly {
    readonly lane: string;
    readonly leaseId: string;
    readonly outcome: LeaseOutcome;
    readonly requeueRound: number | null;
  }[];
  readonly observations: readonly { readonly lane: string; readonly outcome: LeaseOutcome }[];
  readonly leave: string | null;
  readonly cancelTasks: readonly string[];
  readonly catalogSeq: number;
}

interface Job1 extends Omit<JobRecord, "version" | "ticketNumber" | "attempts" | "outbox"> {
  readonly version?: never;
  readonly round: number;
  readonly attempts: readonly (Omit<AttemptRecord, "ticketNumber"> & { readonly round: number | null })[];
  readonly outbox: Outbox1;
}

interface Tombstone1 extends Omit<Tombstone, "version" | "successorId" | "isSwept" | "outbox"> {
  readonly version?: never;
  readonly isSwept?: boolean;
  readonly filesRemain: boolean;
  readonly catalogKnows: boolean;
  readonly outbox: Outbox1;
}

/** The record as today's code knows it, whatever version stored it. */
export function readStored(stored: StoredRecord | Job1 | Tombstone1): StoredRecord {
  if (stored.version !== undefined) {
    const { version }: { readonly version: number } = stored;
    if (version === RECORD_VERSION) return stored;
    throw new Error(`the record has version ${version}, which this code does not know`);
  }
  return stored.kind === "job" ? fromJob1(stored) : fromTombstone1(stored);
}

function fromJob1({ round, attempts, outbox, ...rest }: Job1): JobRecord {
  const messages = messages1(outbox, round);
  const running = attempts.find(({ outcome, lease }) => outcome === null && lease !== null);
  // Version 1 renewed the lease of a resumed attempt after each start of the object.
  if (running?.lease && running.round === null) {
    messages.push(messageOf("renew", { ...running.lease, endsAtMs: leaseEndMs(running) }));
  }
  const requeued = outbox.releases.some(({ requeueRound }) => requeueRound === round);
  if (rest.state.status === "queued" && !requeued) {
    messages.push(messageOf("enqueue", { ticketNumber: round, tries: 0, reason: null }));
  }
  if (outbox.catalogSeq < rest.seq) messages.push(messageOf("record", { seq: rest.seq }));
  return {
    ...rest,
    version: RECORD_VERSION,
    ticketNumber: round,
    attempts: attempts.map(({ round: ticketNumber, ...attempt }) => ({ ...attempt, ticketNumber })),
    outbox: messages.reduce(withMessage, [] as readonly Message[]),
  };
}

function fromTombstone1({ filesRemain, catalogKnows, outbox, isSwept = false, ...rest }: Tombstone1): Tombstone {
  const messages = messages1(outbox, Number.MAX_SAFE_INTEGER);
  if (catalogKnows) messages.push(messageOf("forget", null));
  if (filesRemain) messages.push(messageOf("remove_files", null));
  return { ...rest, version: RECORD_VERSION, successorId: null, isSwept, outbox: messages };
}

function messages1({ releases, observations, leave, cancelTasks }: Outbox1, ticketNumber: number): Message[] {
  return [
    ...releases.map(({ requeueRound, ...release }) => messageOf("release", { ...release, requeue: requeueRound })),
    ...(leave === null ? [] : [messageOf("leave", { lane: leave, ticketNumber })]),
    ...observations.map((observation, index) => messageOf("observe", { ...observation, attempt: -index })),
    ...cancelTasks.map((taskId) => messageOf("cancel_task", { taskId })),
  ];
}
