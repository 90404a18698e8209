import { pick } from "./engine/random.ts";
import type { Sim } from "./engine/sim.ts";
import type { SimStorage } from "./platform/storage.ts";
import { durableDeliveries } from "./stored-job.ts";

/** The host of all webhooks in a run. Upstream's `fetch` leads here too. */
export const RECEIVER_HOST = "receiver.example.net";

/** An event has no more tries than its schedule, because no client in a run asks for a resend. */
const MOST_TRIES = 10;

interface Event {
  readonly body: string;
  tries: number;
  isTaken: boolean;
}

interface JobEvents {
  readonly events: Map<number, Event>;
  isGone: boolean;
}

/** A webhook receiver that fails at random, and checks what must hold for every event: ends of jobs, and alerts of clients. */
export class Receiver {
  readonly #sim: Sim;
  readonly #jobs = new Map<string, JobEvents>();
  /** Events that must arrive, or have a reason why not: `jobId.seq`. */
  readonly #owed = new Map<string, { readonly jobId: string; readonly seq: number }>();

  /** Client → its alert of this month. */
  readonly #alerts = new Map<string, Event & { readonly id: string }>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /**
   * One try to deliver a client's `budget.alert`. A client has at most one alert in a run, because all of its spending is in
   * one month.
   */
  receiveAlert(client: string, headers: Headers, body: string): number {
    const sim = this.#sim;
    const id = headers.get("webhook-id") ?? "";
    const known = this.#alerts.get(client);
    if (known !== undefined && (known.id !== id || known.body !== body)) {
      sim.violate("a client has one alert a month", `${client}: ${id} comes after ${known.id}, or its body changed`);
    }
    const event = known ?? { id, body, tries: 0, isTaken: false };
    this.#alerts.set(client, event);
    event.tries += 1;
    const status = sim.faults.isQuiet ? 200 : pick(sim.draws.next(`receiver of ${client}'s alert`), STATUSES);
    sim.tell(() => `the receiver answers ${status} to the alert of ${client}`);
    if (status < 300 || status === 410) event.isTaken = true;
    return status;
  }

  /** Days later, for a client whose catalog stores that its alert was raised. */
  afterAlert(client: string): void {
    const alert = this.#alerts.get(client);
    if (alert?.isTaken || (alert?.tries ?? 0) >= MOST_TRIES) return;
    this.#sim.violate(
      "every event arrives, or its log says why not",
      `the alert of ${client} was sent ${alert?.tries ?? 0} times and never taken`,
    );
  }

  /** One delivery from the object of `jobId`. Returns the status that the receiver answers. */
  receive(jobId: string, headers: Headers, body: string, isGone: boolean): number {
    const sim = this.#sim;
    const name = sim.named(jobId);
    const [sentOf = "", number = ""] = (headers.get("webhook-id") ?? "").split(".");
    const seq = Number(number);
    const job = this.#jobs.get(jobId) ?? { events: new Map(), isGone: false };
    this.#jobs.set(jobId, job);
    const known = job.events.get(seq);
    if (sentOf !== jobId || known?.body !== (known === undefined ? undefined : body)) {
      sim.violate("an event is the same over all its tries", `${name}: event ${number} changed`);
    }
    const later = [...job.events.keys()].filter((other) => other > seq);
    if (known === undefined && later.length > 0) {
      sim.violate("events of a job arrive in order", `${name}: event ${seq} comes after ${later.join(", ")}`);
    }
    if (isGone) sim.violate("nothing is sent after a 410", `${name}: event ${seq} is sent`);
    const event = known ?? { body, tries: 0, isTaken: false };
    job.events.set(seq, event);
    event.tries += 1;
    const status = sim.faults.isQuiet ? 200 : pick(sim.draws.next(`receiver ${jobId}`), STATUSES);
    sim.tell(() => `the receiver answers ${status} to event ${seq} of ${name}`);
    if (status < 300) event.isTaken = true;
    if (status === 410) job.isGone = true;
    return status;
  }

  /** After everything has settled: every stored delivery must arrive. */
  owes(jobId: string, storage: SimStorage): void {
    for (const { seq } of durableDeliveries(storage)) this.#owed.set(`${jobId}.${seq}`, { jobId, seq });
  }

  /** Days later: checks that every owed event has arrived. */
  afterForgetting(): void {
    for (const { jobId, seq } of this.#owed.values()) {
      const job = this.#jobs.get(jobId);
      const event = job?.events.get(seq);
      if (event?.isTaken || job?.isGone || (event?.tries ?? 0) >= MOST_TRIES) continue;
      this.#sim.violate(
        "every event arrives, or its log says why not",
        `${this.#sim.named(jobId)}: event ${seq} was sent ${event?.tries ?? 0} times and never taken`,
      );
    }
  }
}

/** Most answers are successes. A 410 is rare, because nothing is sent after it. */
const STATUSES = [200, 200, 200, 202, 302, 429, 500, 503, 404, 200, 200, 410] as const;
