import {
  type BulkAction,
  type BulkJobs,
  type BulkOptions,
  type BulkResult,
  type ConnectionState,
  createDarkroomClient,
  DarkroomProblem,
  DarkroomUnreachable,
  type Job,
  type JobSummary,
} from "@darkroom/client";
import { BulkBody, JobFrame, OperatorEntries, PROBLEMS, paths, Usage } from "@darkroom/client/schemas";
import { type VerifiedWebhook, verifyWebhook, WebhookVerificationError } from "@darkroom/client/webhooks";

/** A program in Node that watches one job, and prints what it sees as JSON. */
const [baseUrl = "", prompt = "a red bicycle"] = process.argv.slice(2);
const { DARKROOM_TOKEN: token } = process.env;
const client = createDarkroomClient({ baseUrl, token });
const states: ConnectionState[] = [];
const job: Job = await client.submit("image-from-text", { prompt }, { idempotencyKey: `node ${prompt}` });
const statuses: string[] = [];
for await (const frame of client.watch(job, { after: 0, onState: (state) => states.push(state) })) {
  statuses.push(JobFrame.parse(frame).job.status);
}
const jobs: JobSummary[] = [];
for await (const listed of client.listAll({ status: ["succeeded"] })) jobs.push(listed);
const action: BulkAction = "pin";
const pinned: BulkJobs = { ids: [job.id] };
const bulkOptions: BulkOptions = { dryRun: true };
const bulk: BulkResult[] = [];
for await (const result of client.bulk(action, pinned, bulkOptions)) bulk.push(result);
const usage = Usage.parse(await client.usage());
const schemas = BulkBody.safeParse({ action, ...pinned }).success && OperatorEntries.safeParse({}).success === false;
const problem = await client.get("job_unknown").catch((error: unknown) => error);
const down = createDarkroomClient({
  baseUrl: "http://127.0.0.1:9",
  timing: { retry: { maxTries: 1, baseDelayMs: 1, maxDelayMs: 1, maxRetryAfterMs: 1 } },
});
const unreachable = await down.health().catch((error: unknown) => error);
const refused = await verifyWebhook({ headers: { "webhook-id": "1" }, body: "{}" }, "whsec_c2VjcmV0").catch(
  (error: unknown) => error,
);
const succeeded = (event: VerifiedWebhook | null) => event?.type === "job.succeeded" && event.data.job.id === job.id;

console.log(
  JSON.stringify({
    node: process.versions.node,
    statuses,
    states,
    matched: bulk.map(({ matched }) => matched),
    spent: usage.buckets.length > 0,
    schemas,
    listed: jobs.some(({ id }) => id === job.id),
    path: job.links.self.endsWith(paths.job(job.id)),
    problem:
      problem instanceof DarkroomProblem && PROBLEMS[problem.code as keyof typeof PROBLEMS][0] === problem.status,
    unreachable: unreachable instanceof DarkroomUnreachable,
    refused: refused instanceof WebhookVerificationError && refused.code,
    succeeded: succeeded(null),
  }),
);
// The local server leaves a closed socket's connection open for ten seconds, which keeps Node waiting.
process.exit();
