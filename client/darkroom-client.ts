import { type BulkAction, type BulkFilter, BulkResult, MOST_BULK_JOBS } from "../schemas/bulk.ts";
import { Diagnosis } from "../schemas/doctor.ts";
import { EventPage, type FeedFrame, type JobFrame } from "../schemas/event.ts";
import { Job, JobCounts, JobList, type JobPatchBody, Share } from "../schemas/job.ts";
import { type JobFilter as Filter, type JobPage, jobQuery, queryOf } from "../schemas/job-filter.ts";
import { Health, Identity, Limits, Session } from "../schemas/limits.ts";
import { paths, type Workflow } from "../schemas/paths.ts";
import { Usage } from "../schemas/usage.ts";
import { Delivery, DeliveryList } from "../schemas/webhook.ts";
import { type ApiCall, callApi, parseAnswer, wasRepeated } from "./api-call.ts";
import { type ClientOptions, type Settings, settingsOf } from "./client-options.ts";
import { DarkroomProblem } from "./errors.ts";
import {
  type FileSubmit,
  keyHeader,
  keyOf,
  type ReferenceImage,
  type RequestOf,
  type SubmitOptions,
  submitJson,
  submitMultipart,
} from "./submission.ts";
import { type FeedOptions, watchFeed } from "./watch-feed.ts";
import { type JobTarget, jobPath, type WatchOptions, waitForJob, watchJob } from "./watch-job.ts";

/** Options of every call. Aborting `signal` rejects the call with the signal's reason. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** With the key of a retry whose answer was lost, the same retry is repeated; without one, the call is a new retry. */
export interface RetryOptions extends CallOptions {
  readonly idempotencyKey?: string | undefined;
}

/** Which jobs to list or count, and when to stop. */
export interface JobFilter extends Filter, CallOptions {}

export interface ListOptions extends JobFilter, JobPage {}

/** Jobs by their ids, or those that match every part of a filter. */
export type BulkJobs = { readonly ids: readonly string[] } | { readonly filter: BulkFilter };

export interface BulkOptions extends CallOptions {
  /** Only counts; nothing is done. */
  readonly dryRun?: boolean | undefined;
  /** For the operator: acts on the jobs of this client only. */
  readonly client?: string | undefined;
}

export interface UsageOptions extends CallOptions {
  /** The first and the last UTC day, `2026-11-01`; left out: this month so far. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** `day` when left out. */
  readonly bucket?: "day" | "month" | undefined;
  /** With the operator's token: whose spend; left out: of all clients. */
  readonly client?: string | undefined;
}

/**
 * Darkroom from TypeScript, in browsers, Workers and Node. Every call retries safely, within bounds, after a failure of the
 * network or the server. It rejects with `DarkroomProblem`, `DarkroomUnreachable`, `DarkroomForbiddenOrigin`,
 * `DarkroomUnexpectedAnswer`, or the signal's reason. Every answer is parsed; unknown fields are ignored.
 */
export interface DarkroomClient {
  /** Makes one job, also when the call is retried. */
  submit<W extends Workflow>(workflow: W, request: RequestOf[W], options?: SubmitOptions): Promise<Job>;
  /** `image-from-reference` with files, or files and addresses, in the given order. */
  submitFiles(
    request: FileSubmit,
    images: Iterable<ReferenceImage> | ArrayLike<ReferenceImage>,
    options?: SubmitOptions,
  ): Promise<Job>;
  get(id: string, options?: CallOptions): Promise<Job>;
  /** Long-polls until the job is done. It has no time limit: pass a `signal` to end it. */
  wait(id: string, options?: CallOptions): Promise<Job>;
  /** One page, newest first. */
  list(options?: ListOptions): Promise<JobList>;
  /** How many jobs have each status, model and metadata entry; each kind is counted under all filters but its own. */
  counts(options?: JobFilter): Promise<JobCounts>;
  /** Every job of every page. Pages are fetched as the loop reaches them. */
  listAll(options?: ListOptions): AsyncGenerator<JobList["jobs"][number], void, void>;
  /** A page of the job's log. */
  events(
    id: string,
    options?: CallOptions & { after?: number | undefined; limit?: number | undefined },
  ): Promise<EventPage>;
  /** Idempotent. A finished job is refused with `job_finished`. */
  cancel(id: string, options?: CallOptions): Promise<Job>;
  /**
   * Acts on many jobs, at most 100 per call, and yields the result of each call. It is safe to repeat: a job that is already in
   * the wanted state is listed as refused. A request that the client repeats after a lost answer retries no job twice. Stopping early
   * leaves the remaining jobs as they are.
   */
  bulk(action: BulkAction, jobs: BulkJobs, options?: BulkOptions): AsyncGenerator<BulkResult, void, void>;
  /** Puts a failed or canceled job back into the queue: once, also when the client repeats the request after a lost answer. */
  retry(id: string, options?: RetryOptions): Promise<Job>;
  /** Pins or unpins the job, or replaces its metadata. A job that is unpinned after its `expiresAt` is removed at once. */
  update(id: string, change: JobPatchBody, options?: CallOptions): Promise<Job>;
  /** A link by which anyone may see the job for `hours` (1 to 720), without a token. */
  share(id: string, hours: number, options?: CallOptions): Promise<Share>;
  /** The job's webhooks: each event with every try to deliver it. */
  deliveries(id: string, options?: CallOptions): Promise<DeliveryList>;
  /** Sends an event of the job to its webhook again, at once; `number` is that of the delivery. */
  resend(id: string, number: number, options?: CallOptions): Promise<Delivery>;
  /** Cancels the job if needed and deletes it with its images. A job that no longer exists counts as removed. */
  remove(id: string, options?: CallOptions): Promise<void>;
  limits(options?: CallOptions): Promise<Limits>;
  /** What was spent, by day or month, client and model, and how much of the month's limit is used. Kept for 13 months. */
  usage(options?: UsageOptions): Promise<Usage>;
  /** Resolves even when the server is misconfigured. */
  health(options?: CallOptions): Promise<Health>;
  /** For the operator: what is wrong with the deployment, and how to mend it. Takes up to 20 s. */
  diagnosis(options?: CallOptions): Promise<Diagnosis>;
  /** The client's name and role: of the token, or of the browser's session. */
  identity(options?: CallOptions): Promise<Identity>;
  /** Swaps a token for a session cookie. For pages that Darkroom serves. */
  signIn(token: string, options?: CallOptions): Promise<Session>;
  signOut(options?: CallOptions): Promise<void>;
  /** Frames until the job is done: each event once and in order, across reconnections. */
  watch(job: JobTarget, options?: WatchOptions): AsyncGenerator<JobFrame, void, void>;
  /** The live feed of all jobs. It ends by `signal` or `break` only. */
  watchAll(options?: FeedOptions): AsyncGenerator<FeedFrame, void, void>;
}

/** Throws a `TypeError` that names the option which is wrong. */
export function createDarkroomClient(options: ClientOptions = {}): DarkroomClient {
  const settings = settingsOf(options);
  const call = (request: ApiCall) => callApi(settings, request);
  const get = async (id: string, { signal }: CallOptions = {}) =>
    parseAnswer(await call({ method: "GET", path: jobPath(id), jobId: id, signal }), Job);

  return {
    submit: (workflow, request, submitOptions = {}) => submitJson(settings, workflow, request, submitOptions),
    submitFiles: (request, images, submitOptions = {}) =>
      submitMultipart(settings, request, Array.from(images), submitOptions),
    get,
    wait: (id, { signal } = {}) => waitForJob(settings, id, signal),
    list: (listOptions = {}) => listPage(settings, listOptions),
    async counts({ signal, ...filter } = {}) {
      const path = `${paths.jobCounts}${jobQuery(filter)}`;
      return parseAnswer(await call({ method: "GET", path, signal }), JobCounts);
    },
    listAll: (listOptions = {}) => listPages(settings, listOptions),
    async events(id, { after, limit, signal } = {}) {
      const path = jobPath(id, `/events${queryOf({ after, limit })}`);
      return parseAnswer(await call({ method: "GET", path, jobId: id, signal }), EventPage);
    },
    async cancel(id, { signal } = {}) {
      return parseAnswer(await call({ method: "POST", path: jobPath(id, "/cancel"), jobId: id, signal }), Job);
    },
    bulk: (action, jobs, bulkOptions = {}) => bulkResults(settings, action, jobs, bulkOptions),
    async deliveries(id, { signal } = {}) {
      return parseAnswer(
        await call({ method: "GET", path: jobPath(id, "/deliveries"), jobId: id, signal }),
        DeliveryList,
      );
    },
    async resend(id, number, { signal } = {}) {
      const path = jobPath(id, `/deliveries/${number}/resend`);
      return parseAnswer(await call({ method: "POST", path, jobId: id, signal }), Delivery);
    },
    async retry(id, { signal, idempotencyKey: given } = {}) {
      // With the key a second try is the same retry, whatever became of the job since a first one whose answer was lost.
      const idempotencyKey = keyOf(given);
      const headers = keyHeader(idempotencyKey);
      try {
        const path = jobPath(id, "/retry");
        return parseAnswer(await call({ method: "POST", path, headers, idempotencyKey, jobId: id, signal }), Job);
      } catch (error) {
        // A first try of an earlier version's server, which reads no key, or another retry put the job into the queue.
        const isOwnRetry = error instanceof DarkroomProblem && error.code === "job_not_finished" && wasRepeated(error);
        if (isOwnRetry) return get(id, { signal });
        throw error;
      }
    },
    async update(id, change, { signal } = {}) {
      return parseAnswer(await call({ ...jsonCall("PATCH", jobPath(id), change, signal), jobId: id }), Job);
    },
    async share(id, hours, { signal } = {}) {
      return parseAnswer(
        await call({ ...jsonCall("POST", jobPath(id, "/share"), { hours }, signal), jobId: id }),
        Share,
      );
    },
    async remove(id, { signal } = {}) {
      try {
        await call({ method: "DELETE", path: jobPath(id), jobId: id, signal });
      } catch (error) {
        if (!(error instanceof DarkroomProblem && error.code === "job_gone")) throw error;
      }
    },
    async limits({ signal } = {}) {
      return parseAnswer(await call({ method: "GET", path: paths.limits, signal }), Limits);
    },
    async usage({ signal, ...period } = {}) {
      const path = `${paths.usage}${queryOf({ ...period })}`;
      return parseAnswer(await call({ method: "GET", path, signal }), Usage);
    },
    async health({ signal } = {}) {
      const path = paths.health;
      return parseAnswer(await call({ method: "GET", path, signal, takes: [503] }), Health);
    },
    async diagnosis({ signal } = {}) {
      return parseAnswer(await call({ method: "GET", path: paths.doctor, signal }), Diagnosis);
    },
    async identity({ signal } = {}) {
      return parseAnswer(await call({ method: "GET", path: paths.session, signal }), Identity);
    },
    async signIn(token, { signal } = {}) {
      const headers = { Authorization: `Bearer ${token}` };
      return parseAnswer(await call({ method: "POST", path: paths.session, headers, signal }), Session);
    },
    async signOut({ signal } = {}) {
      await call({ method: "DELETE", path: paths.session, signal });
    },
    watch: (job, watchOptions = {}) => watchJob(settings, job, watchOptions),
    watchAll: (feedOptions = {}) => watchFeed(settings, feedOptions),
  };
}

function jsonCall(method: "POST" | "PATCH", path: string, body: object, signal: AbortSignal | undefined): ApiCall {
  return { method, path, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
}

async function* bulkResults(
  settings: Settings,
  action: BulkAction,
  jobs: BulkJobs,
  { dryRun, client, signal }: BulkOptions,
): AsyncGenerator<BulkResult, void, void> {
  const path = `${paths.jobsBulk}${queryOf({ client })}`;
  const post = async (body: object): Promise<BulkResult> => {
    const call = jsonCall("POST", path, { action, dryRun, ...body }, signal);
    const headers = { ...call.headers, ...keyHeader(keyOf(undefined)) };
    return parseAnswer(
      await callApi(settings, { ...call, headers, timeoutMs: settings.timing.bulkTimeoutMs }),
      BulkResult,
    );
  };
  if ("ids" in jobs) {
    for (let at = 0; at < jobs.ids.length; at += MOST_BULK_JOBS) {
      yield await post({ ids: jobs.ids.slice(at, at + MOST_BULK_JOBS) });
    }
    return;
  }
  let cursor: string | null = null;
  do {
    const result: BulkResult = await post({ filter: jobs.filter, ...(cursor === null ? {} : { cursor }) });
    yield result;
    cursor = result.nextCursor;
  } while (cursor !== null);
}

async function listPage(settings: Settings, options: ListOptions): Promise<JobList> {
  const path = `${paths.jobs}${jobQuery(options)}`;
  return parseAnswer(await callApi(settings, { method: "GET", path, signal: options.signal }), JobList);
}

async function* listPages(
  settings: Settings,
  options: ListOptions,
): AsyncGenerator<JobList["jobs"][number], void, void> {
  let cursor: string | null | undefined = options.cursor;
  do {
    const page: JobList = await listPage(settings, { ...options, cursor });
    yield* page.jobs;
    cursor = page.nextCursor;
  } while (cursor !== null);
}
