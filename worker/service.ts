import { WorkerEntrypoint } from "cloudflare:workers";
import type { Job, JobList } from "../schemas/job.ts";
import { type JobFilter, type JobPage, jobQuery } from "../schemas/job-filter.ts";
import { paths, type VariantAsk, variantUrl, WORKFLOWS, type Workflow } from "../schemas/paths.ts";
import type {
  DarkroomService as Contract,
  ServiceImage,
  ServiceProps,
  ServiceSubmitOptions,
  ServiceWaitOptions,
} from "../schemas/service.ts";
import { DarkroomProblem, LocalApi } from "./local-api.ts";

/** How long one read of a job is held while a caller waits; the object is asked again then. */
const HELD_SECONDS = 25;

/** How long a waiting call pauses when the job is busy and does not say for how long. */
const BUSY_MS = 1_000;

type Fields = Readonly<Record<string, unknown>>;

/** Darkroom for apps in other Workers, over a service binding. The guarantees are those of `schemas/service.ts`. */
export class DarkroomService extends WorkerEntrypoint<Env, ServiceProps> implements Contract {
  #api(caller: Pick<ServiceSubmitOptions, "traceparent" | "hops"> = {}): LocalApi {
    // The deployment of the app writes the props: they may be absent or wrong.
    const { client } = (this.ctx.props ?? {}) as Partial<ServiceProps>;
    if (typeof client === "string") return new LocalApi(this.env, this.ctx, client, caller);
    throw new TypeError(
      'the service binding of DarkroomService needs props that name its client: { client = "my-app" }',
    );
  }

  override fetch(request: Request): Promise<Response> {
    return this.#api().fetch(request);
  }

  async submit(workflow: Workflow, request: object, options: ServiceSubmitOptions = {}): Promise<Job> {
    if (!WORKFLOWS.includes(workflow)) throw new TypeError(`no such workflow: ${JSON.stringify(workflow)}`);
    const headers = new Headers();
    const { idempotencyKey, waitSeconds, traceparent, hops } = options;
    if (idempotencyKey !== undefined) headers.set("Idempotency-Key", JSON.stringify(idempotencyKey));
    if (waitSeconds !== undefined) headers.set("Prefer", `wait=${Math.ceil(waitSeconds)}`);
    const body = bodyOf(request as Fields);
    if (typeof body === "string") headers.set("Content-Type", "application/json");
    return this.#api({ traceparent, hops }).json<Job>(paths.workflow(workflow), { method: "POST", headers, body });
  }

  get(id: string): Promise<Job> {
    return this.#api().json<Job>(jobPath(id));
  }

  async wait(id: string, { signal, timeoutSeconds = Number.POSITIVE_INFINITY }: ServiceWaitOptions = {}): Promise<Job> {
    const api = this.#api();
    const endsAtMs = Date.now() + timeoutSeconds * 1000;
    const aborted = new Promise<never>((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    for (;;) {
      signal?.throwIfAborted();
      const seconds = Math.max(0, Math.min(HELD_SECONDS, Math.ceil((endsAtMs - Date.now()) / 1000)));
      const headers: HeadersInit = seconds === 0 ? {} : { Prefer: `wait=${seconds}` };
      try {
        const job = await Promise.race([aborted, api.json<Job>(jobPath(id), { headers })]);
        if (job.done || seconds === 0 || Date.now() >= endsAtMs) return job;
      } catch (error) {
        // A job that is busy or moves to another machine answers again soon.
        const isTransient = error instanceof DarkroomProblem && error.code === "overloaded" && Date.now() < endsAtMs;
        if (!isTransient) throw error;
        await Promise.race([aborted, scheduler.wait(error.retryAfterMs ?? BUSY_MS)]);
      }
    }
  }

  list(filter: Omit<JobFilter, "client"> & JobPage = {}): Promise<JobList> {
    return this.#api().json<JobList>(`${paths.jobs}${jobQuery({ ...filter, client: undefined })}`);
  }

  cancel(id: string): Promise<Job> {
    return this.#api().json<Job>(jobPath(id, "/cancel"), { method: "POST" });
  }

  retry(id: string): Promise<Job> {
    return this.#api().json<Job>(jobPath(id, "/retry"), { method: "POST" });
  }

  image(id: string, index: number, variant: VariantAsk = {}): Promise<Response> {
    return this.#api().take(variantUrl(jobPath(id, `/images/${encodeURIComponent(index)}`), variant));
  }
}

/** The id is encoded, so that it stays one path segment whatever it contains. */
function jobPath(id: string, rest = ""): string {
  return paths.job(encodeURIComponent(id)) + rest;
}

/** JSON; multipart when an image comes as bytes, with the other fields by their JSON names and values. */
function bodyOf(request: Fields): string | FormData {
  const { images, ...fields } = request as Fields & { readonly images?: readonly ServiceImage[] };
  if (!Array.isArray(images) || images.every((image) => typeof image === "string")) return JSON.stringify(request);
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) form.append(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  for (const [index, image] of images.entries()) {
    if (typeof image === "string") form.append("images", image);
    else form.append("images", new File([image], `image-${index + 1}`));
  }
  return form;
}
