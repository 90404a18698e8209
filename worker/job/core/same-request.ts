import type { Submission } from "../contract.ts";
import type { JobRecord } from "./record.ts";

/**
 * JSON Pointers of what differs between a job and a submission that came with the same Idempotency-Key; none if equal. A field
 * that both left out counts as equal, even if a deploy between them filled it in differently.
 */
export function differingFields(record: JobRecord, submission: Submission): string[] {
  const fields: string[] = [];
  const leftOut = new Set<string>(submission.leftOut.filter((field) => record.leftOut?.includes(field)));
  if (record.workflow !== submission.workflow) fields.push("/workflow");
  if (record.model !== submission.model && !leftOut.has("model")) fields.push("/model");
  if (canonical(record.metadata) !== canonical(submission.metadata)) fields.push("/metadata");
  if (canonical(givenWebhook(record)) !== canonical(givenWebhook(submission))) fields.push("/webhook");
  // A request of more images than its model makes at once is several jobs.
  if ((record.parts ?? 1) !== (submission.parts ?? 1)) fields.push("/n");
  const before: Record<string, unknown> = record.request;
  const now: Record<string, unknown> = submission.request;
  for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
    // A field that the job's older record lacks was not given.
    if (!leftOut.has(key) && canonical(before[key] ?? null) !== canonical(now[key] ?? null)) fields.push(`/${key}`);
  }
  return [...new Set(fields)];
}

/** The webhook that the client gave; null for one from the settings. */
function givenWebhook({ webhook, leftOut }: Pick<Submission, "webhook"> & Partial<Pick<Submission, "leftOut">>) {
  if (webhook === undefined || leftOut?.includes("webhook")) return null;
  return { url: webhook.url, events: [...webhook.events].sort() };
}

/** JSON with sorted keys, so that the order in which a client wrote them does not matter. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
