import { DurableObject } from "cloudflare:workers";
import { Hono } from "hono";
import { nanoid } from "nanoid";

/*
 * The floor: the smallest Worker that can accept a job and keep it. No checks, no auth, no queue, no log, no upstream; one
 * new object, one stored record, one alarm. The product's ratio to it shows the cost of everything else that the product does.
 */

interface FloorEnv {
  readonly JOBS: DurableObjectNamespace<FloorJob>;
}

interface FloorRecord {
  readonly id: string;
  readonly createdAtMs: number;
  readonly request: unknown;
}

/** As far off as a job's deadline, so that no alarm fires during the measurement. */
const ALARM_AFTER_MS = 86_400_000;

export class FloorJob extends DurableObject<FloorEnv> {
  /** Neither write is awaited: the runtime holds the answer until both are on disk. */
  submit(id: string, request: unknown): FloorRecord {
    const record: FloorRecord = { id, createdAtMs: Date.now(), request };
    this.ctx.storage.kv.put("record", record);
    void this.ctx.storage.setAlarm(record.createdAtMs + ALARM_AFTER_MS);
    return record;
  }

  read(): FloorRecord | null {
    return this.ctx.storage.kv.get<FloorRecord>("record") ?? null;
  }

  override async alarm(): Promise<void> {}
}

const app = new Hono<{ Bindings: FloorEnv }>();

app.post("/api/jobs", async (c) => {
  const id = nanoid();
  const record = await c.env.JOBS.getByName(id).submit(id, await c.req.json());
  return c.json(record, 202, { Location: `/api/jobs/${id}` });
});

app.get("/api/jobs/:id", async (c) => {
  const record = await c.env.JOBS.getByName(c.req.param("id")).read();
  return record === null ? c.json({ code: "job_not_found" }, 404) : c.json(record);
});

export default { fetch: app.fetch } satisfies ExportedHandler<FloorEnv>;
