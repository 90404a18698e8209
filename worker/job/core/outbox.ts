import type { DeliveryState } from "../../../schemas/webhook.ts";
import type { LastSpend } from "../../catalog/contract.ts";
import type { LeaseOutcome } from "../../lane/contract.ts";

/** What each kind of message says. Everything else is read from the record when the message is sent. */
interface Payloads {
  /** Asks the lane of today's settings for an attempt. `reason`: why the previous try was put off, for people. */
  enqueue: { readonly ticketNumber: number; readonly tries: number; readonly reason: string | null };
  /** A lease ended. `requeue`: the job waits again with this ticket, in its old place. */
  release: {
    readonly lane: string;
    readonly leaseId: string;
    /**
     * The ticket that the attempt began with: the lane also ends any other lease or ticket up to it. Absent for a resumed task,
     * and in messages of an earlier version.
     */
    readonly ticketNumber?: number;
    readonly outcome: LeaseOutcome;
    readonly requeue: number | null;
  };
  /** A resumed task keeps the lease that it began with. */
  renew: { readonly lane: string; readonly leaseId: string; readonly endsAtMs: number };
  /** The job gives up its place, and any lease that it has not used, up to this ticket. */
  leave: { readonly lane: string; readonly ticketNumber: number };
  /** The outcome of a call whose lease was released before. */
  observe: { readonly lane: string; readonly attempt: number; readonly outcome: LeaseOutcome };
  /** Sends the job's entry, as it is at that time, to the catalog. `revision` is that of a change without an event. */
  record: { readonly seq: number; readonly revision?: number };
  /** Asks for the money of another attempt, before the lane is asked for the attempt. The other fields are those of `Grant`. */
  reserve: { readonly ticketNumber: number; readonly number: number; readonly seq: number; readonly micros: number };
  /**
   * Removes the catalog's entry, and gives what the job has spent; null for a job from before prices, or when the spend is booked
   * already.
   */
  forget: LastSpend | null;
  cancel_task: { readonly taskId: string };
  remove_files: null;
  /** Asks the job that took over this tombstone's key until when it is kept. */
  ask_successor: { readonly jobId: string };
  /** Sends an event to the job's webhook. The delivery of that number holds the body and the tries. */
  notify: { readonly seq: number };
}

/** Who gets each kind. Messages to one receiver are sent in order, one at a time; no receiver waits for another. */
const RECEIVERS = {
  enqueue: "lane",
  release: "lane",
  renew: "lane",
  leave: "lane",
  observe: "lane",
  record: "catalog",
  reserve: "catalog",
  forget: "catalog",
  cancel_task: "upstream",
  remove_files: "bucket",
  ask_successor: "job",
  notify: "webhook",
} as const satisfies Record<keyof Payloads, string>;

export type MessageKind = keyof Payloads;
export type Receiver = (typeof RECEIVERS)[MessageKind];

interface MessageOf<Kind extends MessageKind> {
  /** Unique among the job's messages; a repeated message has the same id, and is kept once. */
  readonly id: string;
  readonly to: (typeof RECEIVERS)[Kind];
  readonly kind: Kind;
  readonly payload: Payloads[Kind];
  /** Not sent earlier; absent: at once. */
  readonly notBeforeMs?: number;
}

/**
 * A call that the job owes a receiver. Stored with the change that caused it, and removed once the receiver has answered. After a
 * crash it is sent again, which every receiver allows.
 */
export type Message = { [Kind in MessageKind]: MessageOf<Kind> }[MessageKind];
export type MessageTo<Kind extends MessageKind> = Extract<Message, { readonly kind: Kind }>;

/** What each answer contains, besides that the message arrived. */
export interface Answers {
  /** The lane has the ticket and queues it. A lease that comes instead is a fact of its own. */
  enqueue: { readonly lane: string };
  /** The lane that queues the ticket again; null when none was to be queued. */
  release: { readonly lane: string | null };
  renew: null;
  leave: null;
  observe: null;
  record: null;
  /** Granted. A refusal is a fact of its own. */
  reserve: null;
  forget: null;
  /** False: upstream would not cancel it, or could not be reached. It is not asked again. */
  cancel_task: { readonly canceled: boolean };
  remove_files: null;
  /** Until when the successor or its tombstone is kept at least; null when there is neither. */
  ask_successor: { readonly keptUntilMs: number | null };
  /** The outcome of the try, and when the next one is due. */
  notify: { readonly state: DeliveryState; readonly nextAtMs: number | null };
}

export const receivers: readonly Receiver[] = [...new Set(Object.values(RECEIVERS))];

type Identified = { [Kind in MessageKind]: { readonly kind: Kind; readonly payload: Payloads[Kind] } }[MessageKind];

function idOf(message: Identified): string {
  switch (message.kind) {
    case "enqueue":
    case "leave":
    case "reserve":
      return `${message.kind}/${message.payload.ticketNumber}`;
    case "release":
      return `release/${message.payload.leaseId}`;
    case "renew":
      return `renew/${message.payload.leaseId}/${message.payload.endsAtMs}`;
    case "observe":
      return `observe/${message.payload.attempt}/${message.payload.outcome.kind}`;
    case "record":
      return ["record", message.payload.seq, message.payload.revision ?? []].flat().join("/");
    case "cancel_task":
      return `cancel_task/${message.payload.taskId}`;
    case "ask_successor":
      return `ask_successor/${message.payload.jobId}`;
    case "notify":
      return `notify/${message.payload.seq}`;
    case "forget":
    case "remove_files":
      return message.kind;
    default:
      throw new Error(`no such message: ${JSON.stringify(message satisfies never)}`);
  }
}

export function messageOf<Kind extends MessageKind>(
  kind: Kind,
  payload: Payloads[Kind],
  notBeforeMs?: number,
): MessageTo<Kind> {
  // One object of a union whose members differ in nothing but the types of kind and payload.
  const id = idOf({ kind, payload } as Identified);
  const message = { id, to: RECEIVERS[kind], kind, payload, ...(notBeforeMs === undefined ? {} : { notBeforeMs }) };
  return message as unknown as MessageTo<Kind>;
}

/** Whether `newer` makes `older` unnecessary. */
function replaces(newer: Message, older: Message): boolean {
  if (newer.kind !== older.kind) return false;
  switch (newer.kind) {
    case "enqueue":
    case "renew":
    case "record":
    case "reserve":
      return true;
    case "leave":
      return older.kind === "leave" && newer.payload.lane === older.payload.lane;
    case "notify":
      return older.kind === "notify" && newer.payload.seq === older.payload.seq;
    default:
      return false;
  }
}

/** The outbox with `message` at its end, unless it holds the same already. What the message replaces is left out. */
export function withMessage(outbox: readonly Message[], message: Message): readonly Message[] {
  const isNewer = message.kind === "enqueue" || message.kind === "notify";
  if (!isNewer && outbox.some(({ id }) => id === message.id)) return outbox;
  return [...outbox.filter((older) => !replaces(message, older)), message];
}

/** How many deliveries a job keeps, and how many messages about them: it may be retried by hand without limit. */
export const MOST_DELIVERIES = 100;

/** The outbox with the messages about the newest deliveries only: while a receiver is down, they must not grow without limit. */
export function withNewestNotices(outbox: readonly Message[]): readonly Message[] {
  const seqs = outbox.flatMap(({ kind, payload }) => (kind === "notify" ? [payload.seq] : []));
  if (seqs.length <= MOST_DELIVERIES) return outbox;
  const kept = new Set(seqs.toSorted((a, b) => a - b).slice(-MOST_DELIVERIES));
  return outbox.filter(({ kind, payload }) => kind !== "notify" || kept.has(payload.seq));
}

/** Whether a message is to be sent that asks for the place of this ticket, or for its money, or that puts the ticket back. */
export function asksForPlace(outbox: readonly Message[], ticketNumber: number): boolean {
  return outbox.some(
    ({ kind, payload }) =>
      ((kind === "enqueue" || kind === "reserve") && payload.ticketNumber === ticketNumber) ||
      (kind === "release" && payload.requeue === ticketNumber),
  );
}
