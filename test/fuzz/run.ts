import { readAnswers } from "./answer-bytes.ts";
import type { HttpAttack, RawAttack } from "./attack.ts";
import { type Finding, shown, textOf } from "./attack.ts";
import { DocumentedAnswers } from "./documented.ts";
import { drawn, mingled } from "./drawn.ts";
import { formAttacks } from "./form-attacks.ts";
import { hangUps } from "./hang-ups.ts";
import { headerAttacks } from "./header-attacks.ts";
import type { HttpSender } from "./http-sender.ts";
import { type Asked, type Door, finding, isOurs, RUNTIME_ADDRESS_CHARS } from "./judge.ts";
import { type ApiDocument, type Operation, operationAttacks } from "./operation-attacks.ts";
import { rawAttacks } from "./raw-attacks.ts";
import { sendRaw } from "./raw-sender.ts";
import { type SocketAttack, socketAttacks } from "./socket-attacks.ts";
import { socketFinding, talk } from "./socket-sender.ts";
import { type Targets, tokenOf } from "./targets.ts";

/** How many attacks of each kind. */
export interface Plan {
  readonly operations: number;
  readonly forms: number;
  readonly headers: number;
  readonly raw: number;
  readonly hangUps: number;
  readonly sockets: number;
}

/** Counts by name. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string, count = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  toString(): string {
    return [...this.#counts]
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([name, count]) => `${name} ${count}`)
      .join(", ");
  }
}

/** Attacks of each kind at once: more than the machine has cores, few enough to distinguish a hang from a queue. */
const WIDTH = { http: 24, raw: 8, sockets: 8 } as const;

/** All attacks on one product, and their outcomes. */
export class FuzzRun {
  readonly findings: Finding[] = [];
  readonly requests = new Tally();
  readonly answers = new Tally();
  readonly runtimeFailures = new Tally();
  readonly sockets = new Tally();
  messages = 0;
  readonly #sender: HttpSender;
  readonly #targets: Targets;
  readonly #document: ApiDocument;
  readonly #documented: DocumentedAnswers;
  readonly #operations: ReadonlyMap<string, { readonly operation: Operation; readonly pattern: RegExp }>;
  readonly #doors: readonly (readonly [Door, number])[];
  /** Path and query of the events of a job that stays unfinished. */
  readonly #heldEvents: string;
  #turn = 0;

  constructor(
    sender: HttpSender,
    targets: Targets,
    document: ApiDocument,
    doors: readonly (readonly [Door, number])[],
    heldEvents: string,
  ) {
    this.#sender = sender;
    this.#targets = targets;
    this.#document = document;
    this.#documented = new DocumentedAnswers(document);
    this.#doors = doors;
    this.#heldEvents = heldEvents;
    const operations = Object.entries(document.paths).flatMap(([path, item]) => {
      const pattern = new RegExp(`^${path.replaceAll(".", "\\.").replace(/\{\w+\}/g, "[^/]+")}$`);
      return Object.values(item).map((operation) => [operation.operationId, { operation, pattern }] as const);
    });
    this.#operations = new Map(operations);
  }

  /** Sends all attacks of a plan; the same for the same seed, except for the order of answers. */
  async storm(plan: Plan, seed: number): Promise<void> {
    const http = mingled<HttpAttack>([
      { count: plan.operations, values: drawn(operationAttacks(this.#document), plan.operations, seed) },
      { count: plan.forms, values: drawn(formAttacks, plan.forms, seed + 1) },
      { count: plan.headers, values: drawn(headerAttacks(this.#document), plan.headers, seed + 2) },
    ]);
    const raw = mingled<RawAttack>([
      { count: plan.raw, values: drawn(rawAttacks, plan.raw, seed + 3) },
      { count: plan.hangUps, values: drawn(hangUps, plan.hangUps, seed + 4) },
    ]);
    const sockets = drawn(socketAttacks, plan.sockets, seed + 5);
    await Promise.all([
      abreast(WIDTH.http, http, (attack) => this.#sendHttp(attack)),
      abreast(WIDTH.raw, raw, (attack) => this.#sendRaw(attack)),
      abreast(WIDTH.sockets, sockets, (attack) => this.#talk(attack)),
    ]);
  }

  #found(what: string, attack: string): void {
    this.findings.push({ what, attack });
  }

  #nextDoor(): readonly [Door, number] {
    this.#turn += 1;
    const door = this.#doors[this.#turn % this.#doors.length];
    if (door === undefined) throw new Error("there is no door");
    return door;
  }

  async #sendHttp(attack: HttpAttack): Promise<void> {
    const sent = this.#targets.request(attack);
    const client = this.#targets.clientOf(attack);
    const answer = await this.#sender.send(sent);
    this.requests.add(attack.kind);
    if ("failure" in answer) {
      this.answers.add("none");
      return this.#found(answer.failure, textOf(attack));
    }
    this.answers.add(`${Math.floor(answer.status / 100)}xx`);
    const { pathname } = new URL(sent.path, "http://a");
    const known = attack.operation === null ? undefined : this.#operations.get(attack.operation);
    const asked: Asked = {
      method: attack.method,
      isApi: pathname.startsWith("/api/"),
      noHttp: sent.path.length > RUNTIME_ADDRESS_CHARS ? "syntax" : null,
      // Its hostile steps may have led to another route.
      operation: known?.pattern.test(pathname) === true ? known.operation : null,
      door: "proxy",
    };
    const wrong =
      finding(answer, asked) ?? (asked.operation && this.#documented.finding(asked.operation.operationId, answer));
    if (wrong !== null) this.#found(wrong, textOf(attack));
    if (attack.path.startsWith("/api/workflows/") && attack.method === "POST") this.#targets.learn(answer, client);
  }

  async #sendRaw(attack: RawAttack): Promise<void> {
    const [door, port] = this.#nextDoor();
    const client = this.#targets.clientOf(attack);
    const outcome = await sendRaw(port, { ...attack, text: this.#targets.rawText(attack) });
    this.requests.add(attack.kind);
    if (outcome.ended === "hung") return this.#found(`hung at the door of the ${door}`, textOf(attack));
    const { answers, rest } = readAnswers(outcome.received);
    for (const answer of answers) {
      this.answers.add(
        isOurs(answer) ? `${Math.floor(answer.status / 100)}xx` : `runtime's ${Math.floor(answer.status / 100)}xx`,
      );
      if (!isOurs(answer) && answer.status >= 500)
        this.runtimeFailures.add(`${answer.status} for ${attack.name} at the ${door}'s door`);
      const asked: Asked = { method: "GET", isApi: true, noHttp: attack.noHttp, operation: null, door };
      const wrong = finding(answer, asked);
      if (wrong !== null) this.#found(wrong, textOf(attack));
      this.#targets.learn(answer, client);
    }
    if (attack.end === "reset") return;
    if (rest.length > 0) this.#found(`an answer that is none: ${shown(rest.toString("latin1"))}`, textOf(attack));
    if (attack.answers !== null && attack.answers !== answers.length) {
      this.#found(`${answers.length} answers instead of ${attack.answers} at the door of the ${door}`, textOf(attack));
    }
  }

  async #talk(attack: SocketAttack): Promise<void> {
    const [door, port] = this.#nextDoor();
    const client = this.#targets.of(attack.target).client;
    const path = attack.where === "feed" ? "/api/events" : this.#heldEvents;
    const headers = attack.where === "feed" ? `Authorization: Bearer ${tokenOf(client)}\r\n` : "";
    const outcome = await talk(port, path, headers, attack);
    this.sockets.add(attack.where);
    this.messages += attack.frames.length;
    const wrong = socketFinding(attack, outcome);
    if (wrong !== null) this.#found(`${wrong} at the door of the ${door}`, `socket on ${attack.where}: ${attack.name}`);
  }
}

/** Runs `work` on all items, `width` at a time. */
async function abreast<Item>(width: number, items: Iterator<Item>, work: (item: Item) => Promise<void>): Promise<void> {
  const worker = async () => {
    for (let next = items.next(); next.done !== true; next = items.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
