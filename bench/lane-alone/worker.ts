import { DurableObject } from "cloudflare:workers";
import type { Lease } from "../../worker/lane/contract.ts";
import { LaneDispatcher as RealLane } from "../../worker/lane/lane-dispatcher.ts";

/*
 * The lane's own object, alone. A stand-in for its jobs takes every lease at once and accepts every notice, so that only the
 * lane's own cost is measured. One step ends the running attempt, and the lane offers the next job a lease; everything is
 * stored as usual.
 */

/** A stand-in for a job, which takes its lease at once. */
interface Taker {
  begin(lease: Lease): Promise<{ accepted: true; startedAtMs: number }>;
  placed(): Promise<boolean>;
}

export class LaneDispatcher extends DurableObject<Env> {
  readonly #jobs: Env["JOBS"];
  readonly #env: Env;
  #real: RealLane;
  #notices = 0;
  #held: Lease | null = null;
  #taken = Promise.withResolvers<void>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const taker: Taker = {
      begin: async (lease) => {
        this.#hold(lease);
        return { accepted: true, startedAtMs: Date.now() };
      },
      placed: async () => {
        this.#notices += 1;
        return true;
      },
    };
    // The one binding that a lane uses, reduced to the calls that a lane makes.
    this.#jobs = { getByName: () => taker } as unknown as Env["JOBS"];
    this.#env = env;
    this.#real = this.#awake();
  }

  #awake(): RealLane {
    return new RealLane(this.ctx, Object.assign(Object.create(this.#env) as Env, { ...this.#env, JOBS: this.#jobs }));
  }

  /** Drops what is in memory, as an eviction does. */
  async wake(): Promise<void> {
    this.#real = this.#awake();
  }

  /** Inserts the rows of `count` jobs of `clients` clients into the queue; then wakes. */
  async crowd(count: number, clients: number, watched: boolean): Promise<void> {
    this.ctx.storage.sql.exec(
      `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
       INSERT INTO waiting (priority, turn, seq, job_id, client, round, watched)
       SELECT 1, 2 + i / CAST(?2 AS INTEGER), 1 + i % ?2, printf('job_%021d', 1000000 + i), 'client-' || (i % ?2), 1, ?3 FROM n`,
      count,
      clients,
      watched ? 1 : 0,
    );
    await this.wake();
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

  /** Ends the running attempt, and waits until the next has begun. */
  async step(): Promise<void> {
    const lease = this.#held;
    if (lease === null) throw new Error("no job has begun");
    this.#taken = Promise.withResolvers<void>();
    const { leaseId, jobId } = lease;
    await this.#real.release({ leaseId, jobId, outcome: { kind: "succeeded", durationMs: 1000 }, requeue: null });
    await this.#taken.promise;
  }

  async report() {
    return { ...(await this.#real.report()), notices: this.#notices };
  }

  /** Runs the lane's alarm: a start, if one is due. */
  async look(): Promise<void> {
    await this.#real.alarm();
  }

  override async alarm(): Promise<void> {
    await this.#real.alarm();
  }
}

export class GenerationJob extends DurableObject<Env> {}
export class ClientCatalog extends DurableObject<Env> {}
export class OperatorLog extends DurableObject<Env> {}

interface Aimed {
  enqueue(jobId: string): Promise<void>;
  step(): Promise<void>;
  wake(): Promise<void>;
  crowd(count: number, clients: number, watched: boolean): Promise<void>;
  look(): Promise<void>;
  report(): Promise<object>;
}

/**
 * `POST /fill` and `POST /step`, each with `?lane=&count=`, and `&from=` as the first job's number; `POST /crowd` with
 * `&clients=&watched=1`; `POST /wake`, `POST /look`. Each answers the lane's report, except `/wake` and `/look`, because a report
 * would read the queue.
 */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    const name = `${url.searchParams.get("lane") ?? "lane"}|qwen-image-max`;
    // The methods of the class above; the generated type has the product's methods.
    const lane = env.LANES.getByName(name) as unknown as Aimed;
    const number = (key: string) => Number(url.searchParams.get(key) ?? 0);
    const count = number("count");
    if (url.pathname === "/wake" || url.pathname === "/look") {
      await (url.pathname === "/wake" ? lane.wake() : lane.look());
      return Response.json({});
    }
    if (url.pathname === "/crowd") {
      await lane.crowd(count, number("clients"), url.searchParams.get("watched") === "1");
      return Response.json({});
    }
    for (let index = 0; index < count; index++) {
      if (url.pathname === "/step") await lane.step();
      else await lane.enqueue(`job_${String(number("from") + index).padStart(21, "0")}`);
    }
    return Response.json(await lane.report());
  },
} satisfies ExportedHandler<Env>;
