import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { JobAnswer, JobRpc, JobView } from "../job/contract.ts";
import { submission } from "../job/core/jobs.fixture.ts";
import { jobStub, laneStub, type Stub } from "../stubs.ts";
import type { Ticket } from "./contract.ts";
import type { LaneState } from "./core/lane-state.ts";
import { laneName } from "./lane-name.ts";

/** Test support: a lane of the tests' own upstream, real jobs and tickets of jobs that do not exist, and time that passes. */

export const LANE = laneName({ upstreamHost: new URL(env.QWEN_BASE_URL).host }, "qwen-image-max");
export const lane = () => laneStub(env, LANE);
export const laneObject = (name = LANE) => env.LANES.getByName(name);

let jobs = 0;
export function newJobId(): string {
  jobs += 1;
  return `job_${String(jobs).padStart(21, "0")}`;
}

/** A ticket of a job that does not exist: it keeps a lease in the answer to `enqueue`, and refuses one that is offered. */
export function ghost(patch: Partial<Ticket> = {}): Ticket {
  return { jobId: newJobId(), client: "ghost", priority: "normal", round: 1, ...patch };
}

/** Submits a real job, which joins the lane by itself. */
export async function submitJob(client = "ann") {
  const id = newJobId();
  const job = jobStub(env, id);
  const answer = await job.submit(submission({}, { id, client }));
  if (!answer.ok) throw new Error(answer.code);
  return { id, job };
}

/** Waits by long poll until the job is as wanted. */
export async function jobThat(job: Stub<JobRpc>, isWanted: (view: JobView) => boolean): Promise<JobView> {
  let tag: string | null = null;
  for (;;) {
    const answer: JobAnswer<{ view: JobView }> =
      tag === null ? await job.view(null) : await job.wait(null, tag, 10_000);
    if (!answer.ok) throw new Error(answer.code);
    if (isWanted(answer.view)) return answer.view;
    if (answer.view.tag === tag) throw new Error(`the job stays ${answer.view.status}: ${answer.view.queue?.detail}`);
    tag = answer.view.tag;
  }
}

/** Uses up both starts of the lane's quota. */
export async function useUpQuota(): Promise<void> {
  for (let i = 0; i < 2; i += 1) {
    const { lease } = await lane().enqueue(ghost(), false);
    if (lease === null) throw new Error("the lane's quota is used up already");
  }
}

/** Moves everything stored so far into the past and evicts the lane, as if that time had passed without a decision. */
export async function timePasses(ms: number, name = LANE): Promise<void> {
  await runInDurableObject(laneObject(name), (_lane, { storage: { sql } }) => {
    const { state } = sql.exec<{ state: string }>("SELECT state FROM lane").one();
    const durations = new Set(["periodMs", "durationsMs"]);
    const earlier = JSON.parse(state, (key, value: unknown) =>
      typeof value === "number" && value > 0 && key.endsWith("Ms") && !durations.has(key) ? value - ms : value,
    );
    sql.exec("UPDATE lane SET state = ?", JSON.stringify(earlier));
    sql.exec(
      "UPDATE leases SET starts_at_ms = starts_at_ms - ?1, ends_at_ms = ends_at_ms - ?1, counted_at_ms = counted_at_ms - ?1",
      ms,
    );
  });
  await evictDurableObject(laneObject(name));
}

/** Runs the lane's alarm, if one is set. */
export const alarmComes = (name = LANE) => runDurableObjectAlarm(laneObject(name));

export function storedState(name = LANE): Promise<LaneState> {
  return runInDurableObject(laneObject(name), (_lane, { storage: { sql } }) =>
    JSON.parse(sql.exec<{ state: string }>("SELECT state FROM lane").one().state),
  );
}
