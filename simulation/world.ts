import { Clients, OPERATIONS_END_MS } from "./clients.ts";
import { Actor } from "./engine/actor.ts";
import type { FaultName, Hit } from "./engine/faults.ts";
import { between, pick, spread } from "./engine/random.ts";
import { type Line, type Part, Sim, setCurrentSim, type Violation } from "./engine/sim.ts";
import { Audit } from "./invariants.ts";
import { type DeployPlan, type Plan, planOf, type Vars } from "./plan.ts";
import { SimBucket } from "./platform/bucket.ts";
import { setOutgoing, setPendingCounter } from "./platform/globals.ts";
import { type HostedObject, ObjectHost, type Version } from "./platform/objects.ts";
import type { SimStorage } from "./platform/storage.ts";
import { WorkerHost } from "./platform/worker.ts";
import type { Code, Product } from "./product.ts";
import { Receiver } from "./receiver.ts";
import { storedJob } from "./stored-job.ts";
import { Upstream } from "./upstream.ts";
import { Witness } from "./witness.ts";

/** Every run starts here: a day of 2026, shortly before an epoch of links ends. */
const START_MS = Date.UTC(2026, 10, 28, 5, 55);
/** After the last fault, a job without obstacles is done within this time. */
const SETTLE_MS = 6 * 60_000;
/** Upstream gives up a stuck task after 3 h. */
const STUCK_TASK_MS = 4 * 3_600_000;
/** How many counted attempts a waiting job may still make. */
const MOST_ATTEMPTS = 4;
const FEEDS_STOP_MS = 30_000;
const LINGER_MS = 120_000;
const DAY_MS = 86_400_000;
/**
 * Nothing of a job is left after its retention and its tombstone's. The settings give a day for each; 30 when a job ends
 * while the settings are broken.
 */
const FORGET_MS = 65 * DAY_MS;

export interface RunOptions {
  readonly seed: number;
  readonly part?: Part | null;
  readonly isTold?: boolean;
}

export interface RunResult {
  readonly seed: number;
  /** How many jobs were stored. */
  readonly lives: number;
  /** The names of everything in the plan that can be left out. */
  readonly names: readonly string[];
  readonly violations: readonly Violation[];
  readonly hits: readonly Hit[];
  readonly lines: readonly Line[];
  readonly digest: string;
  readonly events: number;
  readonly startMs: number;
  readonly faults: ReadonlyMap<FaultName, number>;
}

/** Runs one seed: the product on a hostile platform, until nothing is left of it. */
export async function runWorld(product: Product, options: RunOptions): Promise<RunResult> {
  const { seed, part = null, isTold = false } = options;
  const sim = new Sim({ seed, startMs: START_MS, part, isTold });
  setCurrentSim(sim);
  // Stacks are only for readers; nothing in the product depends on them.
  Error.stackTraceLimit = isTold ? 10 : 0;
  try {
    const plan = planOf(sim.draws, part?.leftOut ?? new Set(), seed);
    const world = new World(sim, plan, product);
    await world.run();
    world.close();
    const faults = new Map<FaultName, number>();
    for (const { fault } of sim.faults.hits) faults.set(fault, (faults.get(fault) ?? 0) + 1);
    return {
      seed,
      lives: world.lives,
      names: world.names,
      violations: sim.violations,
      hits: sim.faults.hits,
      lines: sim.lines,
      digest: sim.digest,
      events: sim.clock.events,
      startMs: START_MS,
      faults,
    };
  } finally {
    setCurrentSim(null);
  }
}

/** Whether the client's alert was raised and the client has a webhook for it. */
function wantsAlert(storage: SimStorage, { CLIENT_WEBHOOKS = "{}" }: Vars, client: string): boolean {
  return storage.peekDurable("budget-alert") !== undefined && Object.hasOwn(JSON.parse(CLIENT_WEBHOOKS), client);
}

/** A deployment of other settings or of another version of the code; null: as before. */
type Deploy = Omit<DeployPlan, "vars"> & { readonly vars: Vars | null; readonly code: Code | null };

/** How long these settings await a late answer, in ms. */
function lateAnswerMsOf({ LATE_ANSWER_MS, QWEN_TIMEOUT_MS }: Vars): number {
  return Math.max(Number(LATE_ANSWER_MS), Number(QWEN_TIMEOUT_MS));
}

class World {
  readonly #sim: Sim;
  readonly #plan: Plan;
  readonly #host: ObjectHost;
  readonly #worker: WorkerHost;
  readonly #upstream: Upstream;
  readonly #bucket: SimBucket;
  readonly #receiver: Receiver;
  readonly #witness: Witness;
  readonly #clients: Clients;
  readonly #audit: Audit;
  readonly #product: Product;
  /** What was deployed last. New objects are made with it. */
  #code: Code;
  #vars: Vars;
  #version: Version;

  constructor(sim: Sim, plan: Plan, product: Product) {
    this.#sim = sim;
    this.#plan = plan;
    sim.clocksDifferMs = plan.clocksDifferMs;
    this.#witness = new Witness(sim);
    this.#receiver = new Receiver(sim);
    this.#bucket = new SimBucket(sim, () => this.#host);
    const { budgetMs, lateMs, quotas, taskSlots } = plan;
    this.#upstream = new Upstream(sim, {
      budgetMs,
      lateMs,
      // Before any version of the settings gives up a late answer.
      tasksKnownMs: Math.min(...[plan.vars, ...plan.deploys.map(({ vars }) => vars)].map(lateAnswerMsOf)),
      taskSlots,
      quotaOf: (model) => quotas[model] ?? { starts: 1, periodMs: 60_000 },
    });
    this.#audit = new Audit(sim, plan, this.#witness, this.#upstream, this.#bucket);
    this.#product = product;
    this.#code = product.before ?? product.code;
    this.#vars = plan.vars;
    this.#version = { classes: this.#code.classes, env: {} };
    this.#host = new ObjectHost(sim, () => this.#version, this.#audit);
    this.#version = this.#versionOf(plan.vars);
    this.#upstream.attemptOf = (jobId) => storedJob(this.#host.object("JOBS", jobId).storage)?.lastAttempt ?? null;
    this.#upstream.onWebhook = ({ object }, headers, body, isGone) =>
      object.kind === "CATALOGS"
        ? this.#receiver.receiveAlert(object.name, headers, body)
        : this.#receiver.receive(object.name, headers, body, isGone);
    this.#upstream.onDelivered = (call, instance) => this.#audit.delivered(call, instance);
    this.#upstream.onLeft = (call) => this.#audit.left(call);
    this.#upstream.onSubmit = (instance) => this.#audit.submitted(instance);
    this.#upstream.onCharged = (call) => this.#audit.charged(call);
    this.#worker = new WorkerHost(sim, this.#code.isolates, this.#version.env, plan.wallMs);
    this.#worker.onAnswer = (from, request, status) => this.#audit.responded(from, request, status);
    this.#clients = new Clients(sim, this.#worker, this.#witness, product.library);
    setOutgoing((input, init) => this.#upstream.fetch(String(input), init));
    setPendingCounter((actor) => this.#host.pending(actor as Actor));
  }

  get lives(): number {
    return this.#audit.lives;
  }

  get names(): string[] {
    const { jobs, feeds, lists, deploys, outages, operations } = this.#plan;
    const ofJobs = jobs.flatMap(({ name, followers, acts }) => [
      name,
      ...[...followers, ...acts].map((each) => each.name),
    ]);
    return [...[...deploys, ...outages, ...operations, ...feeds, ...lists].map(({ name }) => name), ...ofJobs];
  }

  async run(): Promise<void> {
    const sim = this.#sim;
    const { clock } = sim;
    this.#clients.start(this.#plan);
    this.#planDeploys();
    this.#planOutages();
    await clock.run(sim.startMs + this.#plan.quietAtMs);
    this.#mend();
    this.#clients.endOperations(this.#plan);
    const settleMs = this.#settleMs();
    const settledByMs = clock.nowMs + settleMs;
    await clock.run(clock.nowMs + FEEDS_STOP_MS);
    this.#clients.stopFeeds();
    const settle = async (byMs: () => number) => {
      do {
        // After a job's end its messages are still sent, watchers read its end, and a lost submission is repeated.
        await clock.run(clock.nowMs + LINGER_MS);
      } while (clock.nowMs < byMs() && !this.#audit.isSettled(this.#host));
    };
    await settle(() => settledByMs);
    await clock.run(clock.nowMs + LINGER_MS);
    // A client that waited for an answer in vain makes its job late.
    if (!this.#audit.isSettled(this.#host)) await settle(() => this.#audit.lastSubmittedAtMs + settleMs);
    this.#clients.stop();
    await this.#asAuditor(() => this.#audit.afterSettling(this.#host, this.#worker));
    for (const { name, storage } of this.#host.all("JOBS")) this.#receiver.owes(name, storage);
    if (sim.violations.length > 0) return;
    const wakesBefore = this.#audit.alarms;
    await clock.run(clock.nowMs + FORGET_MS);
    this.#audit.afterForgetting(this.#host, this.#audit.alarms - wakesBefore);
    this.#receiver.afterForgetting();
    for (const { name, storage } of this.#host.all("CATALOGS")) {
      if (wantsAlert(storage, this.#plan.vars, name)) this.#receiver.afterAlert(name);
    }
  }

  close(): void {
    this.#host.close();
  }

  /** How long the remaining work may take: queued jobs must run, and upstream may hold a task. */
  #settleMs(): number {
    const slowestMs = Math.max(...Object.values(this.#plan.quotas).map(({ starts, periodMs }) => periodMs / starts));
    const eachMs = slowestMs + this.#plan.budgetMs / this.#plan.taskSlots;
    const linesMs = this.#audit.unfinished(this.#host) * eachMs * MOST_ATTEMPTS;
    const isStuck = this.#sim.faults.hits.some(({ fault }) => fault === "task stuck");
    const operatedMs = this.#plan.operations.length > 0 ? OPERATIONS_END_MS : 0;
    return SETTLE_MS + linesMs + (isStuck ? STUCK_TASK_MS : 0) + operatedMs;
  }

  /** Faults stop. Processes with broken settings get the first settings back. */
  #mend(): void {
    const sim = this.#sim;
    sim.tell(() => "from here on no fault strikes");
    sim.faults.isQuiet = true;
    sim.away.clear();
    this.#code = this.#product.code;
    this.#version = this.#versionOf(this.#plan.vars);
    for (const object of this.#host.all()) this.#change(object, this.#version);
    for (const isolate of this.#worker.isolates) this.#worker.change(isolate, this.#code.isolates, this.#version.env);
  }

  #versionOf(vars: Vars): Version {
    const env = {
      ...vars,
      JOBS: this.#host.namespace("JOBS"),
      LANES: this.#host.namespace("LANES"),
      CATALOGS: this.#host.namespace("CATALOGS"),
      OPERATOR_LOG: this.#host.namespace("OPERATOR_LOG"),
      RESULTS: this.#bucket,
      SUBMIT_LIMITER: { limit: async () => ({ success: true }) },
      ASSETS: { fetch: async () => new Response("", { status: 404 }) },
    };
    return { classes: this.#code.classes, env };
  }

  #planOutages(): void {
    const { clock, away, faults } = this.#sim;
    for (const { what, atMs, forMs } of this.#plan.outages) {
      clock.after(atMs, () => {
        if (faults.isQuiet) return;
        this.#sim.tell(() => `FAULT ${what} is away for ${forMs} ms`);
        away.add(what);
        clock.after(forMs, () => away.delete(what));
      });
    }
  }

  /** A deployment: objects and isolates change to it one after another, so that both versions run for a while. */
  #planDeploys(): void {
    const { clock, draws } = this.#sim;
    const ofSettings = this.#plan.deploys.map((deploy): Deploy => ({ ...deploy, code: null }));
    for (const { name, atMs, takesMs, vars, code, story } of [...ofSettings, ...this.#codeDeploys()]) {
      clock.after(atMs, () => {
        if (this.#sim.faults.isQuiet) return;
        this.#sim.tell(() => `a deployment begins: ${story}`);
        this.#vars = vars ?? this.#vars;
        this.#code = code ?? this.#code;
        const version = this.#versionOf(this.#vars);
        const { isolates } = this.#code;
        this.#version = version;
        for (const object of this.#host.all()) {
          clock.after(takesMs * draws.next(`${name} ${object.label}`)(), () => this.#change(object, version));
        }
        for (const isolate of this.#worker.isolates) {
          clock.after(takesMs * draws.next(`${name} isolate ${isolate.name}`)(), () => {
            if (!this.#sim.faults.isQuiet) this.#worker.change(isolate, isolates, version.env);
          });
        }
      });
    }
  }

  /** Deployments of this code after another version ran, and at times back and forth. */
  #codeDeploys(): readonly Deploy[] {
    const { before, code } = this.#product;
    if (before === null) return [];
    const random = this.#sim.draws.of("versions of the code");
    const { quietAtMs } = this.#plan;
    const deploys: Deploy[] = [];
    let atMs = 0;
    for (let count = pick(random, [1, 1, 2, 3]); count > 0; count--) {
      atMs += between(random, 0, (quietAtMs - atMs) >> 1);
      const isNew = deploys.length % 2 === 0;
      deploys.push({
        name: `version ${deploys.length + 1}`,
        atMs,
        takesMs: spread(random, 100, 180_000),
        vars: null,
        code: isNew ? code : before,
        story: isNew ? "the new version of the code" : "back to the previous version of the code",
      });
    }
    return deploys;
  }

  #change(object: HostedObject, version: Version): void {
    if (this.#sim.faults.isQuiet && version !== this.#version) return;
    object.version = version;
    object.reset(false, "a deployment");
  }

  async #asAuditor(work: () => Promise<void>): Promise<void> {
    const actor = new Actor("auditor");
    let isDone = false;
    let failure: unknown = null;
    actor.run(() => {
      work().then(
        () => {
          isDone = true;
        },
        (error: unknown) => {
          isDone = true;
          failure = error;
        },
      );
    });
    const { clock } = this.#sim;
    const untilMs = clock.nowMs + 3_600_000;
    await clock.run(untilMs, () => isDone);
    if (failure !== null) throw failure;
    if (!isDone) this.#sim.violate("the Worker answers", "an audit's call was never answered, with no fault about");
  }
}
