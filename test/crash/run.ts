import { setTimeout as pause } from "node:timers/promises";
import sharp from "sharp";
import type { Usage } from "../../schemas/usage.ts";
import type { LedgerView } from "../support/control.ts";
import { type Product, startProduct } from "../support/product.ts";
import { until } from "../support/until.ts";
import type { JobEvidence, UpstreamEvidence } from "./evidence.ts";
import { type PatientClient, patientClient } from "./patient-client.ts";
import { type CrashPlan, type PlannedJob, UPSTREAM_FAULTS } from "./plan.ts";

/** Prices per image in dollars, as in the model table. */
const PRICES: Readonly<Record<string, number>> = {
  "qwen-image-max": 0.075,
  "qwen-image-edit-max": 0.075,
  "qwen-image-plus": 0.03,
  "wan2.6-t2i": 0.03,
};

/** Scaled down: a generation usually takes half a second, an attempt at most two, a late answer six. */
const WORKER = {
  QWEN_TIMEOUT_MS: "2000",
  LATE_ANSWER_MS: "6000",
  MAX_PENDING_JOBS: "100000",
  PRICES: JSON.stringify(PRICES),
  // A limit that is far away, so that each attempt is reserved before it is made and none is refused.
  CLIENT_BUDGETS: JSON.stringify({ "*": { monthly: 10_000 } }),
  LANE_LIMITS: JSON.stringify({
    "qwen-image-max": { starts: 8, periodMs: 1000 },
    "qwen-image-edit-max": { starts: 8, periodMs: 1000 },
    "qwen-image-plus": { starts: 8, periodMs: 1000, inProgress: 6 },
    "wan2.6-t2i": { starts: 8, periodMs: 1000, inProgress: 6 },
  }),
};
const EMULATOR = { latencyMs: 500, latencySpread: 0.4 };

/** The time for every job to end, and every lane to be empty, after the last start: longer than any wait that is left then. */
const SETTLE_MS = 180_000;

/** Longer than a lease that is never given back lasts: it ends half a minute after its attempt's budget. */
const LEASES_END_MS = 60_000;

export interface CrashRun {
  readonly evidence: readonly (readonly [JobEvidence, UpstreamEvidence])[];
  readonly killedAtMs: readonly number[];
  /** Jobs in flight at each kill. */
  readonly inFlight: readonly number[];
  /** From the kill until the Worker answered again. */
  readonly restartsMs: readonly number[];
  /** Jobs that lanes still reported after all jobs had ended and every lease had run out. */
  readonly leftInLanes: number;
  readonly ledger: LedgerView["summary"];
  /** The client's books in the end. */
  readonly usage: Usage;
  /** What upstream billed in the whole run, at the prices of `PRICES`. */
  readonly billed: number;
}

/** Lets jobs pass up to a number that rises. */
class Turnstile {
  #open = 0;
  readonly #waiting: (() => void)[] = [];

  letIn(upTo: number): void {
    this.#open = Math.max(this.#open, upTo);
    for (const go of this.#waiting.splice(0)) go();
  }

  async pass(number: number): Promise<void> {
    while (number > this.#open) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** The lines of the Worker's log for the starts of attempts and the deletions of jobs. */
class WorkerLog {
  #rest = "";
  readonly #events = new Map<string, string[]>();

  add(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const found = /"event":"(attempt\.started|job_deleted)","jobId":"(job_[\w-]+)"/.exec(line);
      if (found?.[1] === undefined || found[2] === undefined) continue;
      this.#events.set(found[2], [...(this.#events.get(found[2]) ?? []), found[1]]);
    }
  }

  of(id: string): JobEvidence["logged"] {
    const events = this.#events.get(id) ?? [];
    const deletedAt = events.indexOf("job_deleted");
    const starts = (part: readonly string[]) => part.filter((event) => event === "attempt.started").length;
    if (deletedAt < 0) return { startsBefore: starts(events), startsAfter: 0 };
    return { startsBefore: starts(events.slice(0, deletedAt)), startsAfter: starts(events.slice(deletedAt)) };
  }
}

interface Life {
  readonly planned: PlannedJob;
  id: string | null;
  deletedAtMs: number | null;
  over: boolean;
}

async function live(life: Life, client: PatientClient): Promise<void> {
  const { planned } = life;
  const [firstMs, secondMs] = planned.deedAfterMs;
  const id = await client.submit(planned);
  life.id = id;
  switch (planned.deed) {
    case "none":
      break;
    case "cancel":
    case "cancel and retry":
      await pause(firstMs);
      await client.cancel(id);
      if (planned.deed === "cancel") break;
      await pause(secondMs);
      await client.retry(id);
      break;
    case "delete":
      await pause(firstMs);
      await client.remove(id);
      life.deletedAtMs = Date.now();
      break;
  }
  life.over = true;
}

/** Runs a plan: submits jobs and carries out their deeds while the server is killed and started again; then reads everything. */
export async function runCrash(plan: CrashPlan): Promise<CrashRun> {
  const log = new WorkerLog();
  const product = await startProduct({ env: WORKER, emulator: EMULATOR, onWorkerOutput: (text) => log.add(text) });
  try {
    for (const rule of UPSTREAM_FAULTS) await product.emulator.addFault(rule);
    return await drive(plan, product, log);
  } catch (error) {
    console.error(`the last words of Worker and emulator:\n${product.log().slice(-8_000)}`);
    throw error;
  } finally {
    await product.stop();
  }
}

async function drive(plan: CrashPlan, product: Product, log: WorkerLog): Promise<CrashRun> {
  const picture = await sharp({ create: { width: 512, height: 512, channels: 3, background: "#7a5" } })
    .png()
    .toBuffer();
  const client = patientClient(product.baseUrl, new Uint8Array(picture));
  const gate = new Turnstile();
  const lives = plan.jobs.map((planned): Life => ({ planned, id: null, deletedAtMs: null, over: false }));
  const living = lives.map(async (life, index) => {
    await gate.pass(index + 1);
    await live(life, client);
  });
  const allLived = Promise.all(living);
  // Awaited below; a failure before that must not end the process.
  allLived.catch(() => undefined);

  const killedAtMs: number[] = [];
  const inFlight: number[] = [];
  const restartsMs: number[] = [];
  for (const kill of plan.kills) {
    gate.letIn(kill.submitted);
    await pause(kill.afterMs);
    inFlight.push(await client.unfinished());
    const atMs = Date.now();
    killedAtMs.push(atMs);
    await product.kill(kill.part);
    await product.restart();
    restartsMs.push(Date.now() - atMs);
  }
  gate.letIn(plan.jobs.length);
  await allLived;
  await settle(lives, client);
  const leftInLanes = await untilLanesAreEmpty(client);
  const { calls, images, summary } = await product.emulator.ledger();
  const rows = await client.list();
  const evidence: (readonly [JobEvidence, UpstreamEvidence])[] = [];
  for (const life of lives) {
    const mine = (entry: { readonly prompt: string | null }) => entry.prompt?.startsWith(life.planned.name) ?? false;
    const submits = calls.filter((call) => call.kind === "submit" && mine(call));
    evidence.push([await examine(life, client, rows, log), { submits, images: images.filter(mine) }]);
  }
  const usage = await client.usage();
  const billed = images.reduce((sum, { model }) => sum + priceOf(model), 0);
  return { evidence, killedAtMs, inFlight, restartsMs, leftInLanes, ledger: summary, usage, billed };
}

function priceOf(model: string): number {
  const price = PRICES[model];
  if (price === undefined) throw new Error(`${model} has no price in this run`);
  return price;
}

/** Waits until every job that is not deleted has ended. A job that never ends is found to be stuck afterwards. */
async function settle(lives: readonly Life[], client: PatientClient): Promise<void> {
  const endsAtMs = Date.now() + SETTLE_MS;
  for (const { id, deletedAtMs } of lives) {
    if (id === null || deletedAtMs !== null) continue;
    while (Date.now() < endsAtMs) {
      const { httpStatus, job } = await client.job(id, "wait=10");
      if (httpStatus !== 200 || job?.done) break;
    }
  }
}

async function untilLanesAreEmpty(client: PatientClient): Promise<number> {
  let left = 0;
  await until(
    "empty lanes",
    async () => {
      left = await client.inLanes();
      return left === 0 ? true : undefined;
    },
    LEASES_END_MS,
  ).catch(() => undefined);
  return left;
}

/** Reads a job by the public API, and every byte of its images. */
async function examine(
  life: Life,
  client: PatientClient,
  rows: readonly { readonly id: string; readonly status: string }[],
  log: WorkerLog,
): Promise<JobEvidence> {
  const { planned, deletedAtMs, id } = life;
  if (id === null) throw new Error(`${planned.name} was never taken`);
  const { httpStatus, job } = await client.job(id);
  const events = job === null ? [] : await client.events(id);
  const images = await Promise.all((job?.output?.images ?? []).map(({ index, url }) => client.image(index, url)));
  const listedAs = rows.filter((row) => row.id === id).map((row) => row.status);
  return { planned, id, deletedAtMs, logged: log.of(id), httpStatus, job, events, images, listedAs };
}
