import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { emulatorControl } from "../../../test/support/control.ts";
import { until } from "../../../test/support/until.ts";
import { dashScope } from "../../dashscope/client.ts";
import { ModelTable } from "../../dashscope/models.ts";
import { LaneDispatcher } from "../../lane/lane-dispatcher.ts";
import { framedPng } from "../../results/image.fixture.ts";
import { catalogStub, jobStub } from "../../stubs.ts";
import type { JobView } from "../contract.ts";
import type { JobRecord } from "../core/record.ts";
import { CLIENT, TASK_MODEL, testJob, withoutJitter } from "../job.fixture.ts";
import { readStored } from "../job-store.ts";
import { asOfNow, putStoredJob, type StoredFile, type StoredJob, upstreamOfThisRun } from "./stored.fixture.ts";

/*
 * Databases written by earlier versions, with which today's code continues. Each entry of `version-N.json` is what the object of
 * a job had stored at one moment.
 */

const files = import.meta.glob<StoredFile<Record<string, StoredJob>>>("./version-*.json", {
  eager: true,
  import: "default",
});

const upstream = emulatorControl(env.QWEN_BASE_URL);

/** How a job ends, and how many submissions upstream has seen by then, those of the test itself included. */
interface End {
  readonly status: JobView["status"];
  readonly submits: number;
}

const succeeds = (submits: number): End => ({ status: "succeeded", submits });

/** Unfinished jobs: how they end by themselves. */
const UNFINISHED: Readonly<Record<string, End>> = {
  queued: succeeds(1),
  "queued with an upload": succeeds(1),
  "queued after a failure": succeeds(1),
  "retrying after a failure": succeeds(1),
  "put back by a 429": succeeds(1),
  "put back by a block": succeeds(1),
  retried: succeeds(1),
  // The call was lost with the process that held it.
  generating: succeeds(1),
  "generating after a retry": succeeds(1),
  "retrying with an open call": succeeds(1),
  "running beside an open call": succeeds(1),
  "waiting for an open call": { status: "failed", submits: 0 },
  // A task that upstream holds, or images that it has delivered, are not made again; the one submission is the test's.
  "generating a task": succeeds(1),
  "generating a resumed task": succeeds(1),
  "retrying with a task": succeeds(1),
  "retried with its task": succeeds(1),
  storing: succeeds(1),
  "storing the second image": succeeds(1),
  "storing after a copy that failed": succeeds(1),
  "storing with a late success to report": succeeds(1),
};

/** Finished jobs: how many submissions a retry costs; null where it is refused. */
const FINISHED: Readonly<Record<string, number | null>> = {
  succeeded: null,
  "succeeded after three attempts": null,
  failed: 1,
  "failed with a long log": 1,
  "canceled in line": 1,
  "canceled with leases to give back": 1,
  "canceled with links": 1,
  "canceled with a task to cancel": 2,
  "failed at its deadline with a task to cancel": 2,
};

const TOMBSTONES = [
  "tombstone",
  "tombstone with all to clean up",
  "tombstone with a lease to give back",
  "tombstone with a task to cancel",
];

const released = vi.spyOn(LaneDispatcher.prototype, "release");

beforeEach(withoutJitter);
afterEach(() => released.mockClear());

/** The distinct texts that `pattern` finds in the value as JSON. */
function textsIn(value: unknown, pattern: RegExp): string[] {
  return [...new Set(JSON.stringify(value).match(pattern) ?? [])];
}

const LINKS = /http:[^"]*\/results\/[^"]*/g;
const TASK_IDS = /(?<="(?:taskId|cancelTasks)":\[?")[0-9a-f-]{36}/g;

/**
 * Submits the job to upstream if its stored state names a task or links, so that these exist there. Answers old text → new text.
 * A task that is to be canceled stays pending, so that it can be canceled.
 */
async function submittedUpstream({ kv }: StoredJob, prompt: string): Promise<Map<string, string>> {
  const known = new Map<string, string>();
  const links = textsIn(kv, LINKS);
  const taskIds = textsIn(kv, TASK_IDS);
  if (links.length + taskIds.length === 0) return known;
  // A tombstone keeps no request.
  const { model = TASK_MODEL, request = testJob({ model: TASK_MODEL }).submission.request } =
    kv.record as Partial<JobRecord>;
  if (textsIn(kv, /"cancelTasks":\["|"kind":"cancel_task"/g).length > 0) {
    await upstream.addFault({ match: { prompt }, fault: { type: "task-stuck", status: "PENDING" }, times: 1 });
  }
  const settings = { baseUrl: env.QWEN_BASE_URL, apiKey: "sk-test", region: "sg", models: new ModelTable() } as const;
  const client = dashScope({ ...settings, fetch: (url, init) => fetch(url, init), now: () => Date.now() });
  const { signal } = new AbortController();
  let answer = await client.generate({ model, request: { ...request, prompt }, images: [] }, signal);
  if (answer.kind === "accepted") {
    const { taskId } = answer;
    for (const id of taskIds) known.set(id, taskId);
    if (links.length > 0) {
      answer = await until("the task's images", async () => {
        const read = await client.readTask(taskId, signal);
        return read.kind === "delivered" ? read : undefined;
      });
    }
  }
  for (const [index, link] of links.entries()) {
    const made = answer.kind === "delivered" ? answer.links[index] : undefined;
    if (made === undefined) throw new Error(`no link ${index}: ${JSON.stringify(answer)}`);
    known.set(link, made);
  }
  return known;
}

/** The bytes of an image that upstream can read. */
async function anImage(): Promise<ArrayBuffer> {
  const source = await testJob().submit();
  await source.done();
  const [file] = await source.images();
  const object = await env.RESULTS.get(file?.key ?? "");
  if (object === null) throw new Error("no image was stored");
  return await object.arrayBuffer();
}

/**
 * Puts a stored job into its object, with all that it needs elsewhere. One job is stored in several places, so it gets a new id
 * and prompt each time.
 */
async function restored(file: string, name: string) {
  const { upstream: writtenFor, [name]: found } = files[file] as StoredFile<Record<string, StoredJob>>;
  if (found === undefined) throw new Error(`${file} has no job ${name}`);
  const unique = testJob();
  const [writtenPrompt = ""] = textsIn(found.kv, /(?<="prompt":")[^"]*/g);
  const replace = new Map([
    [found.id, unique.id],
    [writtenPrompt === "" ? unique.prompt : writtenPrompt, unique.prompt],
    ...(await submittedUpstream(found, unique.prompt)),
    // After the links, which contain it.
    ...upstreamOfThisRun(writtenFor),
  ]);
  const job = asOfNow(found, found.atMs, replace);
  // An older version may have written it, so only fields of every version are read here.
  const record = job.kv.record as JobRecord;
  for (const image of record.request?.images ?? []) {
    if (image.kind === "upload") await env.RESULTS.put(`jobs/${job.id}/inputs/${image.sha256}`, await anImage());
  }
  await env.RESULTS.put(`jobs/${job.id}/9/9`, framedPng(8, 8, 500));
  await putStoredJob(job);
  await evictDurableObject(env.JOBS.getByName(job.id));
  return { job, record, rpc: jobStub(env, job.id) };
}

async function viewOf(id: string): Promise<JobView> {
  const answer = await jobStub(env, id).view(null);
  if (!answer.ok) throw new Error(answer.code);
  return answer.view;
}

async function done(id: string): Promise<JobView> {
  const answer = await jobStub(env, id).wait(null, null, 25_000);
  if (!answer.ok || !answer.view.done) throw new Error(`never done: ${JSON.stringify(answer, null, 1)}`);
  return answer.view;
}

/** Waits until all messages of the stored outbox are sent. */
const sentAll = (id: string) =>
  until("an empty outbox", () =>
    runInDurableObject(env.JOBS.getByName(id), (_object, { storage }) => {
      const stored = storage.kv.get<JobRecord>("record");
      return stored === undefined || readStored(stored).outbox.length === 0 ? true : undefined;
    }),
  );

const leasesIn = ({ outbox }: { readonly outbox: unknown }) => textsIn(outbox, /(?<="leaseId":")[^"]+/g);
const releasedLeases = () => released.mock.calls.map(([release]) => release.leaseId);

describe.each(Object.keys(files))("%s", (file) => {
  const names = Object.keys(files[file] ?? {}).filter((name) => name !== "upstream");

  it("has a job in every place that this test knows", () => {
    expect(new Set(names)).toEqual(new Set([...Object.keys(UNFINISHED), ...Object.keys(FINISHED), ...TOMBSTONES]));
  });

  it.each(Object.entries(UNFINISHED))("%s: ends as under the version that wrote it", async (name, end) => {
    const { job, record, rpc } = await restored(file, name);
    const before = (await rpc.events(null, 0, 1_000)) as { readonly events: readonly unknown[] };
    expect(before.events.slice(0, record.log.length)).toEqual(record.log);
    const view = await done(job.id);
    expect(view).toMatchObject({ status: end.status, createdAt: new Date(record.createdAtMs).toISOString() });
    const { calls } = await upstream.ledger(record.request.prompt);
    expect(calls.filter(({ kind }) => kind === "submit")).toHaveLength(end.submits);
    await sentAll(job.id);
    expect(releasedLeases()).toEqual(expect.arrayContaining(leasesIn(record)));
    const listed = await catalogStub(env, CLIENT).list({
      status: [end.status],
      workflow: null,
      limit: 100,
      cursor: null,
    });
    expect(listed.ok && listed.entries.find(({ id }) => id === job.id)).toMatchObject({ seq: view.seq });
  });

  it.each(Object.entries(FINISHED))(
    "%s: shows the same, sends its stored messages, and can be retried",
    async (name, submits) => {
      const { job, record, rpc } = await restored(file, name);
      const { tag: _tag, ...shown } = job.view ?? (await viewOf(job.id));
      expect(await viewOf(job.id)).toMatchObject(shown);
      const { events } = (await rpc.events(null, 0, 1_000)) as { readonly events: readonly { readonly seq: number }[] };
      expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: record.seq }, (_, index) => index + 1));
      await sentAll(job.id);
      expect(releasedLeases()).toEqual(expect.arrayContaining(leasesIn(record)));
      const answer = await rpc.retry(null);
      expect(answer.ok).toBe(submits !== null);
      if (submits === null) return;
      expect((await done(job.id)).status).toBe("succeeded");
      const { calls } = await upstream.ledger(record.request.prompt);
      expect(calls.filter(({ kind }) => kind === "submit")).toHaveLength(submits);
    },
  );

  it.each(TOMBSTONES)("%s: stays removed, and what is left of it is cleaned up", async (name) => {
    const { job, record, rpc } = await restored(file, name);
    expect(await rpc.view(null)).toEqual({ ok: false, code: "job_gone" });
    await sentAll(job.id);
    expect(releasedLeases()).toEqual(expect.arrayContaining(leasesIn(record)));
    const isClean = name === "tombstone";
    if (!isClean) {
      await until("no files", async () =>
        (await env.RESULTS.list({ prefix: `jobs/${job.id}/` })).objects.length === 0 ? true : undefined,
      );
    }
    expect(await rpc.retry(null)).toEqual({ ok: false, code: "job_gone" });
  });
});
