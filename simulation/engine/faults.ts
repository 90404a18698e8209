import { type Draws, type Random, spread } from "./random.ts";

/** The places where a fault can strike. */
export const SITES = [
  "call",
  "step",
  "write",
  "alarm",
  "worker",
  "bucket",
  "fetch",
  "submit",
  "task",
  "result",
  "network",
  "socket",
] as const;
export type Site = (typeof SITES)[number];

interface FaultKind {
  readonly site: Site;
  readonly story: string;
  /** The probability at each occasion, in a world of medium hostility. */
  readonly likely: number;
}

/**
 * Every fault of the world, by the place where it strikes. Sources: `docs/simulation.md`. Each world draws which of them it
 * has, and how likely each is.
 */
export const FAULTS = {
  // Calls between objects, and from the Worker to objects.
  "call lost before": { site: "call", likely: 0.02, story: "the call is lost before it arrives" },
  "call lost after": { site: "call", likely: 0.02, story: "the call is carried out, and its answer is lost" },
  "call overloaded": { site: "call", likely: 0.02, story: "the object is overloaded and refuses the call" },
  "call slow": { site: "call", likely: 0.03, story: "the call is slow" },
  "call hangs before": { site: "call", likely: 0.004, story: "the call never arrives, and nothing says so" },
  "call hangs after": { site: "call", likely: 0.004, story: "the call is carried out, and never answered" },
  // Between two steps of an object.
  reset: { site: "step", likely: 0.01, story: "the object is reset" },
  replaced: {
    site: "step",
    likely: 0.005,
    story: "the object is replaced by a new instance; the old one runs on for up to 30 s without storage",
  },
  // Writes of an object.
  "write slow": { site: "write", likely: 0.02, story: "what was written becomes durable late" },
  "write lost": { site: "write", likely: 0.01, story: "the object is reset before what it wrote is durable" },
  "reset after write": {
    site: "write",
    likely: 0.01,
    story: "the object is reset when what it wrote is durable, before anything leaves it",
  },
  // Alarms.
  "alarm late": { site: "alarm", likely: 0.05, story: "the alarm is late" },
  "alarm twice": { site: "alarm", likely: 0.02, story: "the alarm is run a second time" },
  "alarm lost host": { site: "alarm", likely: 0.01, story: "the object is reset while its alarm runs" },
  // The stateless Worker.
  "worker dies": { site: "worker", likely: 0.01, story: "the Worker's isolate dies with all its requests" },
  // R2.
  "bucket slow": { site: "bucket", likely: 0.05, story: "the bucket is slow" },
  "bucket fails before": { site: "bucket", likely: 0.03, story: "the bucket fails before it does anything" },
  "bucket fails after": { site: "bucket", likely: 0.02, story: "the bucket does it, and answers with an error" },
  "bucket hangs before": { site: "bucket", likely: 0.005, story: "the bucket does nothing and never answers" },
  "bucket hangs after": { site: "bucket", likely: 0.005, story: "the bucket does it and never answers" },
  "bucket body breaks": { site: "bucket", likely: 0.01, story: "the body of a stored file breaks off" },
  "bucket body hangs": { site: "bucket", likely: 0.003, story: "the body of a stored file stops coming" },
  // Upstream, any call.
  "fetch lost before": {
    site: "fetch",
    likely: 0.02,
    story: "the request never reaches upstream; the connection fails",
  },
  "fetch lost after": {
    site: "fetch",
    likely: 0.02,
    story: "upstream carries it out; the connection breaks before the answer",
  },
  "fetch hangs before": {
    site: "fetch",
    likely: 0.01,
    story: "the request never reaches upstream, and nothing says so",
  },
  "fetch hangs after": { site: "fetch", likely: 0.01, story: "upstream carries it out, and its answer never comes" },
  "fetch cut": { site: "fetch", likely: 0.01, story: "upstream's answer is cut off during its body" },
  "fetch body hangs": { site: "fetch", likely: 0.005, story: "upstream's answer stops during its body" },
  // Submissions upstream.
  "upstream slow": { site: "submit", likely: 0.08, story: "upstream takes longer than an attempt's budget" },
  "upstream very slow": {
    site: "submit",
    likely: 0.02,
    story: "upstream takes longer than a late answer is waited for",
  },
  "upstream 429": { site: "submit", likely: 0.03, story: "upstream throttles" },
  "upstream 500": { site: "submit", likely: 0.03, story: "upstream answers 500 InternalError" },
  "upstream 503": { site: "submit", likely: 0.02, story: "upstream answers 503 ModelUnavailable" },
  "upstream 502": { site: "submit", likely: 0.01, story: "a gateway answers 502 with a page" },
  "upstream 522": {
    site: "submit",
    likely: 0.01,
    story: "the platform answers 522 after upstream was reached; the image is made",
  },
  "upstream 504": { site: "submit", likely: 0.01, story: "a gateway answers 504 with a page; the image is made" },
  "upstream timeout": { site: "submit", likely: 0.01, story: "upstream gives up after the work: RequestTimeOut" },
  "upstream arrears": { site: "submit", likely: 0.01, story: "upstream refuses the account: Arrearage" },
  "upstream key": { site: "submit", likely: 0.005, story: "upstream refuses the key" },
  "upstream moderation": { site: "submit", likely: 0.01, story: "upstream refuses the prompt" },
  "upstream bad json": {
    site: "submit",
    likely: 0.01,
    story: "upstream makes the image and answers JSON that ends too early",
  },
  "upstream empty": { site: "submit", likely: 0.01, story: "upstream makes the image and answers with none in it" },
  "upstream code in 200": { site: "submit", likely: 0.01, story: "upstream answers 200 with an error's code" },
  "upstream redirect": { site: "submit", likely: 0.005, story: "upstream answers with a redirect" },
  "answer again": { site: "submit", likely: 0.01, story: "upstream gives an earlier answer of the job a second time" },
  // Tasks upstream.
  "task unknown at first": { site: "task", likely: 0.03, story: "upstream does not know the task yet" },
  "task unknown for good": { site: "task", likely: 0.005, story: "upstream forgets the task" },
  "task failed": { site: "task", likely: 0.02, story: "the task fails" },
  "task stuck": { site: "task", likely: 0.002, story: "the task never leaves RUNNING" },
  "task partial": { site: "task", likely: 0.02, story: "some of the task's images are refused" },
  "task canceled": {
    site: "task",
    likely: 0.05,
    story: "someone cancels the task in upstream's console, if it has not begun",
  },
  // Downloads of results.
  "result missing at first": { site: "result", likely: 0.03, story: "the result is not found at first" },
  "result 403": { site: "result", likely: 0.02, story: "the result's host answers 403" },
  "result 503": { site: "result", likely: 0.03, story: "the result's host answers 503" },
  "result truncated": { site: "result", likely: 0.02, story: "the result comes without its end" },
  "result cut": { site: "result", likely: 0.02, story: "the connection is cut during the result" },
  "result html": { site: "result", likely: 0.01, story: "a page comes in the place of the result" },
  "result hangs": { site: "result", likely: 0.01, story: "the result never comes" },
  "result slow": { site: "result", likely: 0.02, story: "the result is slow" },
  "result without length": { site: "result", likely: 0.001, story: "the result comes without its length" },
  // Between clients and the Worker.
  "network lost before": { site: "network", likely: 0.03, story: "the client's request is lost" },
  "network lost after": { site: "network", likely: 0.03, story: "the answer to the client is lost" },
  "network slow": { site: "network", likely: 0.03, story: "the client's connection is slow" },
  "network hangs": { site: "network", likely: 0.01, story: "the client's request is carried out, and no answer comes" },
  // Sockets and streams.
  "socket drops": { site: "socket", likely: 0.02, story: "the connection of a watcher drops" },
  "socket half open": {
    site: "socket",
    likely: 0.01,
    story: "a watcher's connection dies and the server is not notified",
  },
} as const satisfies Record<string, FaultKind>;
export type FaultName = keyof typeof FAULTS;

const NAMES = Object.keys(FAULTS) as FaultName[];

/** A fault that struck, and at which occasion. */
export interface Hit {
  /** The occasion: its label and number. */
  readonly at: string;
  readonly fault: FaultName;
}

export interface Strike {
  readonly fault: FaultName;
  /** For further draws about the fault. */
  readonly random: Random;
}

interface Chance {
  readonly fault: FaultName;
  readonly probability: number;
}

/** Draws the faults of one run, and records which struck. */
export class FaultSource {
  readonly hits: Hit[] = [];
  readonly #draws: Draws;
  readonly #tables = new Map<Site, readonly Chance[]>();
  readonly #onlyAt: ReadonlySet<string> | null;
  readonly #onHit: (hit: Hit) => void;
  isQuiet = false;

  /** `onlyAt`: the occasions at which a fault may strike; null for all. */
  constructor(draws: Draws, onlyAt: ReadonlySet<string> | null, onHit: (hit: Hit) => void) {
    this.#draws = draws;
    this.#onlyAt = onlyAt;
    this.#onHit = onHit;
    // A few worlds are calm, most have some kinds of fault, and a few have nearly all. Each kind is rare in one world and
    // common in another.
    const share = [0, 0.15, 0.15, 0.3, 0.3, 0.5, 0.5, 0.8][Math.floor(draws.of("hostility")() * 8)] ?? 0;
    for (const fault of NAMES) {
      const random = draws.of(`hostility of ${fault}`);
      const isPresent = random() < share;
      const factor = spread(random, 10, 500) / 100;
      if (!isPresent) continue;
      const { site, likely } = FAULTS[fault];
      const probability = Math.min(0.6, likely * factor);
      this.#tables.set(site, [...(this.#tables.get(site) ?? []), { fault, probability }]);
    }
  }

  /** The fault that strikes at this occasion; null for none. */
  strike(site: Site, label: string): Strike | null {
    const table = this.#tables.get(site);
    if (table === undefined) return null;
    const at = this.#draws.nth(`${site} ${label}`);
    if (this.isQuiet) return null;
    const random = this.#draws.of(at);
    let left = random();
    for (const { fault, probability } of table) {
      left -= probability;
      if (left >= 0) continue;
      if (this.#onlyAt?.has(at) === false) return null;
      const hit = { at, fault };
      this.hits.push(hit);
      this.#onHit(hit);
      return { fault, random };
    }
    return null;
  }
}
