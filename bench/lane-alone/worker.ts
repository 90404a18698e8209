import { DurableObject } from "cloudflare:workers";
import type { Lease } from "../../worker/lane/contract.ts";
import { LaneDispatcher as RealLane } from "../../worker/lane/lane-dispatcher.ts";

/*
 * The lane's own object, alone: its jobs are a list that takes every lease at once, so that what a start costs is what
 * the lane spends on it. One step ends the running attempt, and the lane tells the next job; all of it is stored as ever.
 */

/** A job takes its lease at once. */
interface Taker {
  begin(lease: Lease): Promise<{ accepted: true; startedAtMs: number }>;
  placed(): Promise<boolean>;
}

export class LaneDispatcher extends DurableObject<Env> {
  readonly #real: RealLane;
  #held: Lease | null = null;
  #taken = Promise.withResolvers<void>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const taker: Taker = {
      begin: async (lease) => {
        this.#hold(lease);
        return { accepted: true, startedAtMs: Date.now() };
      },
      placed: async () => false,
    };
    // The one binding that a lane uses, reduced to what it asks of a job.
    const jobs = { getByName: () => taker } as unknown as Env["JOBS"];
    this.#real = new RealLane(ctx, Object.assign(Object.create(env) as Env, { ...env, JOBS: jobs }));
  }

  #hold(lease: Lease): void {
    this.#held = lease;
    this.#taken.resolve();
  }

  async enqueue(jobId: string): Promise<void> {
    const ticket = { jobId, client: `client-${jobId.slice(-1)}`, priority: "normal", round: 1 } as const;
    const { lease } = await this.#real.enqueue(ticket, false);
    if (lease !== null) this.#hold(lease);
  }

  /** Ends the attempt that runs, and waits until the next has begun. */
  async step(): Promise<void> {
    const lease = this.#held;
    if (lease === null) throw new Error("no job has begun");
    this.#taken = Promise.withResolvers<void>();
    const { leaseId, jobId } = lease;
    await this.#real.release({ leaseId, jobId, outcome: { kind: "succeeded", durationMs: 1000 }, requeue: null });
    await this.#taken.promise;
  }

  async report() {
    return this.#real.report();
  }

  override async alarm(): Promise<void> {
    await this.#real.alarm();
  }
}

export class GenerationJob extends DurableObject<Env> {}
export class ClientCatalog extends DurableObject<Env> {}

interface Aimed {
  enqueue(jobId: string): Promise<void>;
  step(): Promise<void>;
  report(): Promise<object>;
}

/** `POST /fill` and `POST /step`, each with `?lane=&count=`, `&from=` numbering the jobs; answers the lane's report. */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    const name = `${url.searchParams.get("lane") ?? "lane"}|qwen-image-max`;
    // The methods of the class above; the generated type knows the product's.
    const lane = env.LANES.getByName(name) as unknown as Aimed;
    const count = Number(url.searchParams.get("count") ?? 0);
    const from = Number(url.searchParams.get("from") ?? 0);
    for (let number = 0; number < count; number++) {
      if (url.pathname === "/step") await lane.step();
      else await lane.enqueue(`job_${String(from + number).padStart(21, "0")}`);
    }
    return Response.json(await lane.report());
  },
} satisfies ExportedHandler<Env>;
