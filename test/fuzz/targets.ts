import { createHash } from "node:crypto";
import { Job } from "../../schemas/job.ts";
import type { Answer, HttpAttack, RawAttack } from "./attack.ts";
import type { HttpSender, SentRequest } from "./http-sender.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** Many clients, because each may make 600 submissions a minute. */
const CLIENTS = Array.from({ length: 40 }, (_, index) => `client-${index}`);
/** A client that does nothing hostile, and must not be affected by the others. */
export const NEIGHBOUR = "neighbour";
export const OPERATOR_TOKEN = "token-of-the-operator";

export const tokenOf = (client: string) => `token-of-${client}`;

/** The Worker's variables with the tokens of all these clients. */
export const TOKEN_VARS: Readonly<Record<string, string>> = {
  AUTH_MODE: "token",
  SIGNING_SECRET: "a secret of many characters",
  CLIENT_TOKENS: JSON.stringify(
    Object.fromEntries([...CLIENTS, NEIGHBOUR].map((name) => [name, sha256(tokenOf(name))])),
  ),
  ADMIN_TOKEN_SHA256: sha256(OPERATOR_TOKEN),
};

/** A job that attacks may be about. */
interface Target {
  readonly id: string;
  readonly client: string;
  /** Path and query of its signed links. */
  readonly events: string;
  readonly image: string;
  readonly etag: string;
}

/** Attacks use this many recent jobs; older ones are all finished and alike. */
const KEPT = 300;

const pathOf = (address: string) => address.replace(/^https?:\/\/[^/]+/, "");

/** The jobs that a run has made so far, with their clients. */
export class Targets {
  readonly #recent: Target[] = [];
  /** Id → client, of every submission that was answered with a job. */
  readonly promised = new Map<string, string>();
  /** `Cookie` of one session. */
  #session = "";
  readonly host: string;

  constructor(host: string) {
    this.host = host;
  }

  /** Signs the browser's client in, and makes the first jobs. */
  async begin(sender: HttpSender): Promise<void> {
    const [first = ""] = CLIENTS;
    const authorization = ["authorization", `Bearer ${tokenOf(first)}`] as const;
    const opened = await sender.send({ method: "POST", path: "/api/session", headers: [authorization], body: null });
    if ("failure" in opened || opened.status !== 200) throw new Error(`no session: ${JSON.stringify(opened)}`);
    this.#session = opened.headers["set-cookie"]?.split(";")[0] ?? "";
    for (const client of CLIENTS.slice(0, 8)) {
      const body = Buffer.from(JSON.stringify({ prompt: `the first of ${client}` }));
      const headers = [
        ["authorization", `Bearer ${tokenOf(client)}`],
        ["content-type", "application/json"],
        ["prefer", "wait=30"],
      ] as const;
      const answer = await sender.send({ method: "POST", path: "/api/workflows/image-from-text", headers, body });
      if ("failure" in answer || answer.status !== 200) throw new Error(`no job: ${JSON.stringify(answer)}`);
      this.learn(answer, client);
    }
  }

  /** Keeps the job of an answer to a submission. */
  learn(answer: Answer, client: string): void {
    if (![200, 202].includes(answer.status) || answer.headers["content-type"] !== "application/json") return;
    const read = Job.safeParse(JSON.parse(answer.body.toString()));
    if (!read.success) return;
    const { id, links, output } = read.data;
    this.promised.set(id, client);
    const image = output?.images[0]?.url ?? `/api/jobs/${id}/images/0`;
    const etag = answer.headers.etag ?? "*";
    this.#recent.push({ id, client, events: pathOf(links.events), image: pathOf(image), etag });
    // The first eight stay, because their images exist.
    if (this.#recent.length > KEPT) this.#recent.splice(8, 1);
  }

  of(number: number): Target {
    const target = this.#recent[number % this.#recent.length];
    if (target === undefined) throw new Error("no job yet");
    return target;
  }

  /** The client of an attack: its job's owner when it is about a job, else one of all clients. */
  clientOf({ target, ...attack }: HttpAttack | RawAttack): string {
    const about = "text" in attack ? attack.text : `${attack.path} ${JSON.stringify(attack.headers)}`;
    const isAboutJob = /@(id|events|image|etag)@/.test(about);
    return isAboutJob ? this.of(target).client : (CLIENTS[target % CLIENTS.length] ?? NEIGHBOUR);
  }

  #filled(text: string, number: number): string {
    if (!text.includes("@")) return text;
    const { id, events, image, etag } = this.of(number);
    return text
      .replaceAll("@id@", id)
      .replaceAll("@events@", events)
      .replaceAll("@image@", image)
      .replaceAll("@etag@", etag);
  }

  request(attack: HttpAttack): SentRequest {
    const { credential, target, method, body } = attack;
    const headers = attack.headers.map(([name, value]) => [name, this.#filled(value, target)] as const);
    return {
      method,
      path: this.#filled(attack.path, target),
      headers: [...headers, ...this.#credentials(attack, credential)],
      body,
    };
  }

  #credentials(attack: HttpAttack, { as, ...given }: HttpAttack["credential"]): readonly (readonly [string, string])[] {
    switch (as) {
      case "owner":
        return [["authorization", `Bearer ${tokenOf(this.clientOf(attack))}`]];
      case "other":
        return [["authorization", `Bearer ${tokenOf(CLIENTS[(attack.target + 1) % CLIENTS.length] ?? NEIGHBOUR)}`]];
      case "operator":
        return [["authorization", `Bearer ${OPERATOR_TOKEN}`]];
      case "session":
        return [["cookie", this.#session]];
      case "nobody":
        return [];
      case "header":
        return "name" in given ? [[given.name, given.value]] : [];
      default:
        throw new Error(`no such credential: ${JSON.stringify(as satisfies never)}`);
    }
  }

  rawText(attack: RawAttack): string {
    const text = attack.text.replaceAll("@host@", this.host).replaceAll("@token@", tokenOf(this.clientOf(attack)));
    return this.#filled(text, attack.target);
  }
}
