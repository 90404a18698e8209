import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { EventPage, type JobEvent } from "../../schemas/event.ts";
import { Job, JobList } from "../../schemas/job.ts";
import { Limits } from "../../schemas/limits.ts";
import { paths } from "../../schemas/paths.ts";
import { Usage } from "../../schemas/usage.ts";
import type { FetchedImage } from "./evidence.ts";
import type { PlannedJob } from "./plan.ts";

/** Longer than the longest time without a server. */
const PATIENCE_MS = 180_000;
const TRY_EVERY_MS = 100;

const MODELS = { text: "qwen-image-max", edit: "qwen-image-edit-max", task: "qwen-image-plus", tasks: "wan2.6-t2i" };
const SIZES = { text: "1328*1328", edit: "512*512", task: "1328*1328", tasks: "1280*1280" };

/**
 * A client for a server that dies at any moment: every call is repeated until it is answered, which idempotency allows.
 * `upload` is the input image of the edits.
 */
export function patientClient(baseUrl: string, upload: Uint8Array<ArrayBuffer>) {
  async function call(path: string, init: () => RequestInit = () => ({})): Promise<Response> {
    const endsAtMs = Date.now() + PATIENCE_MS;
    for (;;) {
      let why: string;
      try {
        const response = await fetch(new URL(path, baseUrl), { ...init(), signal: AbortSignal.timeout(30_000) });
        const body = await response.arrayBuffer();
        const { status, headers } = response;
        // A `Response` with a status like 204 may not have a body, not even an empty one.
        if (status < 500 && status !== 429)
          return new Response(body.byteLength === 0 ? null : body, { status, headers });
        why = `${status} ${new TextDecoder().decode(body).slice(0, 500)}`;
      } catch (error) {
        why = String(error);
      }
      if (Date.now() > endsAtMs) throw new Error(`${path}: no answer in ${PATIENCE_MS} ms; the last: ${why}`);
      await pause(TRY_EVERY_MS);
    }
  }

  const json = { accept: "application/json" };
  const post = (path: string) => call(path, () => ({ method: "POST", headers: json }));

  async function expectStatus(what: string, response: Response, ...statuses: number[]): Promise<number> {
    if (statuses.includes(response.status)) return response.status;
    throw new Error(`${what}: ${response.status} ${await response.text()}`);
  }

  return {
    /** Resolves with the job's id, once the server has accepted it. */
    async submit(planned: PlannedJob): Promise<string> {
      const { name, kind, n, priority } = planned;
      const fields = {
        prompt: `${name}, a picture`,
        model: MODELS[kind],
        size: SIZES[kind],
        n,
        priority,
        maxAttempts: 10,
      };
      const workflow = kind === "edit" ? "image-from-reference" : "image-from-text";
      const response = await call(paths.workflow(workflow), () => {
        const headers: Record<string, string> = { ...json, "idempotency-key": name };
        if (kind !== "edit") {
          headers["content-type"] = "application/json";
          return { method: "POST", headers, body: JSON.stringify(fields) };
        }
        const form = new FormData();
        for (const [field, value] of Object.entries(fields)) form.set(field, String(value));
        form.set("images", new File([upload], "input.png", { type: "image/png" }));
        return { method: "POST", headers, body: form };
      });
      await expectStatus(`submitting ${name}`, response, 202, 200);
      return Job.parse(await response.json()).id;
    },

    /** Accepts 409: the job has already ended. */
    cancel: async (id: string) => expectStatus(`canceling ${id}`, await post(paths.jobCancel(id)), 200, 409),
    /** Accepts 409: the job has not ended, for instance because an earlier try of this call was carried out and its answer lost. */
    retry: async (id: string) => expectStatus(`retrying ${id}`, await post(paths.jobRetry(id)), 200, 409),
    remove: async (id: string) =>
      expectStatus(`deleting ${id}`, await call(paths.job(id), () => ({ method: "DELETE" })), 204, 410),

    /** `prefer`: `wait=10` holds the answer until the job is done. */
    async job(id: string, prefer?: string): Promise<{ httpStatus: number; job: Job | null }> {
      const headers = prefer === undefined ? json : { ...json, prefer };
      const response = await call(paths.job(id), () => ({ headers }));
      return { httpStatus: response.status, job: response.status === 200 ? Job.parse(await response.json()) : null };
    },

    async events(id: string): Promise<JobEvent[]> {
      const all: JobEvent[] = [];
      for (;;) {
        const response = await call(`${paths.jobEvents(id)}?after=${all.at(-1)?.seq ?? 0}`, () => ({ headers: json }));
        if (response.status !== 200) return all;
        const { events } = EventPage.parse(await response.json());
        if (events.length === 0) return all;
        all.push(...events);
      }
    },

    async image(index: number, url: string): Promise<FetchedImage> {
      const response = await call(url);
      if (response.status !== 200) return { index, sha256: null };
      const bytes = Buffer.from(await response.arrayBuffer());
      return { index, sha256: createHash("sha256").update(bytes).digest("hex") };
    },

    /** Every row of the client's list: ids with their status. */
    async list(): Promise<{ id: string; status: string }[]> {
      const rows: { id: string; status: string }[] = [];
      let cursor: string | null = null;
      do {
        const query: string = `?limit=100${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`;
        const response = await call(`${paths.jobs}${query}`, () => ({ headers: json }));
        const page: JobList = JobList.parse(await response.json());
        rows.push(...page.jobs.map(({ id, status }) => ({ id, status })));
        cursor = page.nextCursor;
      } while (cursor !== null);
      return rows;
    },

    /** The client's spend of this month, and how much of its limit is used. */
    async usage(): Promise<Usage> {
      return Usage.parse(await (await call(paths.usage, () => ({ headers: json }))).json());
    },

    /** How many of the client's jobs are not done, up to 100. */
    async unfinished(): Promise<number> {
      const response = await call(`${paths.jobs}?status=queued,running,retrying&limit=100`, () => ({ headers: json }));
      return JobList.parse(await response.json()).jobs.length;
    },

    /** Jobs that lanes report as queued or in progress. */
    async inLanes(): Promise<number> {
      const response = await call(paths.limits, () => ({ headers: json }));
      const { lanes } = Limits.parse(await response.json());
      return lanes.reduce((sum, lane) => sum + lane.queued + lane.inProgress, 0);
    },
  };
}
export type PatientClient = ReturnType<typeof patientClient>;
