import type { CatalogRpc } from "../catalog/contract.ts";
import type { LaneRpc, Lease, Ticket } from "../lane/contract.ts";
import { budgetOf } from "../spend/prices.ts";
import { catalogStub, jobStub, laneStub } from "../stubs.ts";
import { cancelTask } from "./attempt.ts";
import type { FactOf } from "./core/facts.ts";
import {
  type Answers,
  type Message,
  type MessageKind,
  type MessageTo,
  type Receiver,
  receivers,
} from "./core/outbox.ts";
import type { JobRecord, StoredRecord } from "./core/record.ts";
import { nextMessage } from "./core/schedule.ts";
import { toCatalogEntry } from "./core/view.ts";
import type { Deliveries } from "./deliveries.ts";
import type { ImageCopier } from "./image-copier.ts";
import { type JobHost, RetryClock } from "./job-host.ts";
import type { QueuePlace } from "./queue-place.ts";

/** The other parts of the object that send messages. */
interface Parts {
  readonly place: QueuePlace;
  readonly copier: ImageCopier;
  readonly deliveries: Deliveries;
  /** Begins the attempt of a lease that came as an answer; null when it was not begun. */
  begin(lease: Lease): Promise<number | null>;
}

/** The receiver's answer; null when the outcome is recorded already. Throws to have it sent again. */
type Send<Kind extends MessageKind> = (
  message: MessageTo<Kind>,
  record: StoredRecord,
) => Promise<{ readonly answer: Answers[Kind] } | null>;

/** Sends the outbox: to each receiver one message after the other, repeated with growing delays until it has answered. */
export class OutboxSender {
  readonly #env: Env;
  readonly #host: JobHost;
  readonly #parts: Parts;
  readonly #clocks: Record<Receiver, RetryClock>;

  constructor(env: Env, host: JobHost, parts: Parts) {
    this.#env = env;
    this.#host = host;
    this.#parts = parts;
    // An entry for each receiver, so the record is whole.
    this.#clocks = Object.fromEntries(receivers.map((to) => [to, new RetryClock()])) as Record<Receiver, RetryClock>;
  }

  isSending(to: Receiver): boolean {
    return this.#clocks[to].busy;
  }

  /** When a receiver that failed is tried again; null: now. */
  sendAgainAtMs(to: Receiver): number | null {
    return this.#clocks[to].againAtMs;
  }

  /** Starts sending to every receiver that has a message due, and is not being sent one. */
  start(record: StoredRecord, nowMs: number): void {
    for (const to of receivers) {
      const clock = this.#clocks[to];
      if (nextMessage(record, to, nowMs) === null || !clock.mayStart(nowMs)) continue;
      const sending = clock.run(
        () => this.#sendAll(to),
        (error) => this.#host.log("not_sent", { to, reason: String(error) }),
      );
      this.#host.keepRunning(sending.then(() => this.#host.pump()));
    }
  }

  async #sendAll(to: Receiver): Promise<void> {
    for (;;) {
      const record = this.#host.record();
      const message = record === null ? null : nextMessage(record, to, Date.now());
      if (record === null || message === null) return;
      await this.#sendOne(message, record);
    }
  }

  async #sendOne(message: Message, record: StoredRecord): Promise<void> {
    // The table pairs each kind with the type of its message; TypeScript cannot follow that through a union.
    const send = this.#sends[message.kind] as Send<MessageKind>;
    const answered = await send(message, record);
    if (answered === null) return;
    this.#host.apply({ type: "message_answered", message, ...answered } as FactOf<"message_answered">);
    // The job is watched by now, which the lane has to know.
    if (message.to === "lane" && this.#host.isWatched) await this.#parts.place.refresh();
  }

  readonly #sends: { readonly [Kind in MessageKind]: Send<Kind> } = {
    enqueue: async ({ id, payload: { ticketNumber } }, record) => {
      if (record.kind !== "job") return null;
      const lane = this.#host.laneOf(record);
      if (lane === null) throw new Error("the Worker is misconfigured: see GET /api/health");
      const { isWatched } = this.#host;
      const { lease, place } = await this.#lane(lane, (stub) =>
        stub.enqueue(ticketOf(record, ticketNumber), isWatched),
      );
      if (lease !== null) {
        const isBegun = (await this.#parts.begin(lease)) !== null;
        const asked = this.#host.record()?.outbox.find((message) => message.id === id);
        // False when the message was replaced by a later one, as after uploads that could not be read.
        const isStillAsked = asked !== undefined && (asked.notBeforeMs ?? 0) <= Date.now();
        // The repeated message gets the lease again, or a place.
        if (!isBegun && isStillAsked) throw new Error("the lease came too late");
        return null;
      }
      if (place === null) throw new Error("the lane gave neither a lease nor a place");
      this.#parts.place.remember(place, ticketNumber, isWatched);
      return { answer: { lane } };
    },
    release: async ({ payload: { lane, requeue, ...ended } }, record) => {
      const isWanted = record.kind === "job" && record.state.status === "queued" && record.ticketNumber === requeue;
      const ticket = isWanted ? ticketOf(record, requeue) : null;
      const release = { ...ended, jobId: record.id, requeue: ticket };
      const { place } = await this.#lane(lane, (stub) => stub.release(release));
      if (ticket === null) return { answer: { lane: null } };
      this.#parts.place.remember(place, ticket.ticketNumber, false);
      return { answer: { lane } };
    },
    renew: async ({ payload: { lane, leaseId, endsAtMs } }) => {
      await this.#lane(lane, (stub) => stub.renew(leaseId, endsAtMs));
      return ANSWERED;
    },
    leave: async ({ payload: { lane, ticketNumber } }, { id }) => {
      await this.#lane(lane, (stub) => stub.leave(id, ticketNumber));
      return ANSWERED;
    },
    observe: async ({ payload: { lane, outcome } }, { id }) => {
      await this.#lane(lane, (stub) => stub.observe(outcome, id));
      return ANSWERED;
    },
    record: async (_message, record) => {
      if (record.kind !== "job") return null;
      await this.#catalog(record, (stub) => stub.record(toCatalogEntry(record)));
      return ANSWERED;
    },
    reserve: async ({ payload: { ticketNumber, number, seq, micros } }, record) => {
      const config = this.#host.config();
      if (config === null) throw new Error("the Worker is misconfigured: see GET /api/health");
      const budget = budgetOf(config, record.client);
      // The limit was lifted meanwhile.
      if (budget === null) return ANSWERED;
      // A price that is not known has no room in any limit.
      const isPriced = record.kind === "job" && (record.spend?.unitMicros ?? null) !== null;
      const wanted = isPriced ? micros : Number.MAX_SAFE_INTEGER;
      const grant = { jobId: record.id, number, micros: wanted, seq, untilMs: null };
      const answer = await this.#catalog(record, (stub) => stub.reserveAgain(grant, budget));
      if (answer.granted) return ANSWERED;
      this.#host.apply({ type: "budget_exceeded", ticketNumber, spend: answer.spend });
      return null;
    },
    forget: async ({ payload }, record) => {
      const removedAtMs = record.kind === "tombstone" ? record.removedAtMs : Date.now();
      await this.#catalog(record, (stub) => stub.forget(record.id, payload, removedAtMs));
      return ANSWERED;
    },
    cancel_task: async ({ payload: { taskId } }) => {
      const config = this.#host.config();
      if (config === null) throw new Error("the Worker is misconfigured: see GET /api/health");
      const canceled = await cancelTask(config, taskId);
      this.#host.log("task_cancel_asked", { taskId, canceled });
      return { answer: { canceled } };
    },
    remove_files: async (_message, { id }) => {
      await this.#parts.copier.removeFiles(id);
      return ANSWERED;
    },
    ask_successor: async ({ payload: { jobId } }) => {
      const keptUntilMs = await jobStub(this.#env, jobId).keptUntil();
      return { answer: { keptUntilMs } };
    },
    notify: (message, record) => this.#parts.deliveries.send(message, record),
  };

  #lane<Answer>(name: string, ask: (stub: LaneRpc) => Promise<Answer>): Promise<Answer> {
    return ask(laneStub(this.#env, name));
  }

  #catalog<Answer>({ client }: StoredRecord, ask: (stub: CatalogRpc) => Promise<Answer>): Promise<Answer> {
    return ask(catalogStub(this.#env, client));
  }
}

const ANSWERED = { answer: null };

/** `round` is the name that a lane of the previous version reads. */
function ticketOf(
  { id, client, request }: JobRecord,
  ticketNumber: number,
): Ticket & { readonly ticketNumber: number } {
  return { jobId: id, client, priority: request.priority, ticketNumber, round: ticketNumber };
}
