import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { until } from "../../../test/support/until.ts";
import { catalogStub, laneStub } from "../../stubs.ts";
import type { MessageKind } from "../core/outbox.ts";
import { type JobRecord, type StoredRecord, type Tombstone, RECORD_VERSION as VERSION } from "../core/record.ts";
import { toJobView } from "../core/view.ts";
import { CLIENT, EDIT_MODEL, laneOf, TASK_MODEL, type TestJob, testJob, withoutJitter } from "../job.fixture.ts";
import type { StoredJob } from "./stored.fixture.ts";

/*
 * Writes the databases of the current version, when there are none yet: real jobs are brought to every place, and what their
 * objects store is recorded. docs/architecture.md says when that is done.
 */

const written = import.meta.glob("./version-*.json");

/** What the object of a job stored, in order. */
type History = readonly Omit<StoredJob, "view">[];

const recordOf = ({ kv }: Pick<StoredJob, "kv">) => kv.record as StoredRecord;

const hasMessage = ({ outbox }: StoredRecord, wanted: MessageKind) => outbox.some(({ kind }) => kind === wanted);

/** Records each state that the object of this job stores from now on. */
async function historyOf(job: TestJob): Promise<History> {
  const history: Omit<StoredJob, "view">[] = [];
  await runInDurableObject(job.object, (_object, { storage }) => {
    const put = storage.kv.put.bind(storage.kv);
    const setAlarm = storage.setAlarm.bind(storage);
    let alarmAtMs: number | null = null;
    Object.defineProperty(storage, "setAlarm", {
      value: (atMs: number) => {
        alarmAtMs = atMs;
        const last = history.pop();
        if (last !== undefined) history.push({ ...last, alarmAtMs });
        return setAlarm(atMs);
      },
    });
    Object.defineProperty(storage.kv, "put", {
      value: (key: string, value: unknown) => {
        put(key, value);
        if (key !== "record") return;
        const kv = structuredClone(Object.fromEntries(storage.kv.list()));
        history.push({ id: job.id, atMs: Date.now(), alarmAtMs, kv });
      },
    });
  });
  return history;
}

/** Every place of a job, with and without messages in its outbox: name → a stored state. */
const stored: Record<string, StoredJob> = {};

function keep(name: string, found: Omit<StoredJob, "view"> | undefined, history: History): void {
  if (found === undefined) throw new Error(`never ${name}: ${JSON.stringify(history.map(recordOf), null, 1)}`);
  const record = recordOf(found);
  const isFinal = record.kind === "job" && ["succeeded", "failed", "canceled"].includes(record.state.status);
  stored[name] = { ...found, view: isFinal ? toJobView(record, null) : null };
}

function keepJob(name: string, history: History, isWanted: (record: JobRecord) => boolean): void {
  const found = history.findLast((state) => {
    const record = recordOf(state);
    return record.kind === "job" && isWanted(record);
  });
  keep(name, found, history);
}

function keepTombstone(name: string, history: History, isWanted: (tombstone: Tombstone) => boolean): void {
  const found = history.find((state) => {
    const record = recordOf(state);
    return record.kind === "tombstone" && isWanted(record);
  });
  keep(name, found, history);
}

/** Waits until the object has stored a job for which `holds` is true. */
const untilStored = (what: string, history: History, holds: (record: JobRecord) => boolean) =>
  until(what, () => {
    const records = history.map(recordOf);
    return records.some((record) => record.kind === "job" && holds(record)) ? true : undefined;
  });

const status =
  (wanted: JobRecord["state"]["status"], phase?: "generating" | "storing") =>
  ({ state }: JobRecord): boolean =>
    state.status === wanted && (phase === undefined || (state.status === "running" && state.phase === phase));
const generating = status("running", "generating");
const storing = status("running", "storing");

const HOLD = { type: "hold", at: "arrival" } as const;
const REJECTED = { type: "error", code: "DataInspectionFailed" } as const;

async function failuresAndOpenCalls(): Promise<void> {
  const job = await testJob().spoil({ fault: { type: "html", status: 503 } }, { fault: HOLD });
  const history = await historyOf(job);
  await job.submit();
  await job.held();
  keepJob("queued", history, ({ seq }) => seq === 1);
  keepJob("retrying after a failure", history, status("retrying"));
  keepJob("queued after a failure", history, (record) => status("queued")(record) && record.seq > 1);
  keepJob("generating", history, (record) => generating(record) && record.lastAttempt === 2);
  await job.until("past its budget", ({ attempts }) => attempts[1]?.stillOpen === true);
  keepJob(
    "retrying with an open call",
    history,
    (record) => status("retrying")(record) && record.attempts[1]?.stillOpen === true,
  );
  await job.done();
  keepJob("succeeded after three attempts", history, status("succeeded"));
  await job.release();
}

async function twoOpenCalls(): Promise<void> {
  const job = await testJob().spoil({ fault: HOLD }, { fault: HOLD });
  const history = await historyOf(job);
  await job.submit();
  await job.held(2);
  keepJob(
    "running beside an open call",
    history,
    (record) => generating(record) && record.attempts[0]?.stillOpen === true,
  );
  await job.rpc.cancel(null);
  keepJob(
    "canceled with leases to give back",
    history,
    (record) => status("canceled")(record) && hasMessage(record, "release"),
  );
  await job.release();
}

async function lateAnswer(): Promise<void> {
  const job = await testJob({ maxAttempts: 1 }).spoil({ fault: { type: "hold", at: "answer" } });
  const history = await historyOf(job);
  await job.submit();
  await job.until("past its budget", ({ attempts }) => attempts[0]?.stillOpen === true);
  keepJob(
    "waiting for an open call",
    history,
    (record) => generating(record) && record.attempts[0]?.stillOpen === true,
  );
  await job.release();
  await job.done();
  keepJob(
    "storing with a late success to report",
    history,
    (record) => storing(record) && hasMessage(record, "observe"),
  );
}

async function task(): Promise<void> {
  const job = await testJob({ model: TASK_MODEL, n: 2 }).spoil({ fault: { type: "slow", extraMs: 3_000 } });
  const history = await historyOf(job);
  await job.submit();
  await job.done();
  keepJob("generating a task", history, (record) => generating(record) && record.task?.attempt === 1);
  keepJob("retrying with a task", history, (record) => status("retrying")(record) && record.task !== null);
  keepJob("generating a resumed task", history, (record) => generating(record) && record.task?.attempt === 2);
  keepJob("storing", history, (record) => storing(record) && record.delivery?.images[0] === null);
  keepJob("storing the second image", history, (record) => storing(record) && record.delivery?.images[0] != null);
  keepJob("succeeded", history, status("succeeded"));
  await job.rpc.remove(null);
  const isClean = ({ outbox }: Tombstone) => outbox.length === 0;
  keepTombstone("tombstone with all to clean up", history, (tombstone) => !isClean(tombstone));
  await until("a clean tombstone", () => {
    const last = history.map(recordOf).at(-1);
    return last?.kind === "tombstone" && isClean(last) ? true : undefined;
  });
  keepTombstone("tombstone", history, isClean);
}

async function copies(): Promise<void> {
  const fault = { type: "result", how: "server-error", times: 3 } as const;
  const job = await testJob().spoil({ fault, times: null });
  const history = await historyOf(job);
  await job.submit();
  const hasFailed = (record: JobRecord) => storing(record) && (record.delivery?.tries ?? 0) > 0;
  await untilStored("a copy that failed", history, hasFailed);
  keepJob("storing after a copy that failed", history, hasFailed);
  await job.rpc.cancel(null);
  keepJob("canceled with links", history, (record) => status("canceled")(record) && record.delivery !== null);
}

async function putBack(): Promise<void> {
  const job = testJob({ model: "wanx2.1-t2i-turbo", size: "1024*1024" });
  await job.spoil({ fault: { type: "error", code: "Throttling.RateQuota" } });
  const history = await historyOf(job);
  await job.submit();
  const isPutBack = (record: JobRecord) => status("queued")(record) && record.ticketNumber === 2;
  await untilStored("put back", history, isPutBack);
  keepJob("put back by a 429", history, isPutBack);
  await job.rpc.cancel(null);
  keepJob("canceled in line", history, (record) => status("canceled")(record) && hasMessage(record, "leave"));
}

async function blocked(): Promise<void> {
  const model = "wan2.2-t2i-plus";
  const job = await testJob({ model, size: "1024*1024" }).spoil({ fault: { type: "error", code: "InvalidApiKey" } });
  const history = await historyOf(job);
  await job.submit();
  const isBlocked = (record: JobRecord) => record.attempts[0]?.outcome === "blocked";
  await untilStored("blocked", history, isBlocked);
  keepJob("put back by a block", history, isBlocked);
  await laneStub(env, laneOf(model)).observe({ kind: "succeeded", durationMs: 0 });
  await job.rpc.remove(null);
}

async function stuckTask(): Promise<void> {
  const job = testJob({ model: TASK_MODEL });
  await job.spoil({ fault: { type: "task-stuck", status: "PENDING" } });
  const history = await historyOf(job);
  await job.submit();
  await job.until("a task", ({ attempts }) => attempts[0]?.upstream.taskId != null);
  await job.rpc.cancel(null);
  keepJob(
    "canceled with a task to cancel",
    history,
    (record) => status("canceled")(record) && hasMessage(record, "cancel_task"),
  );
  await job.rpc.retry(null);
  keepJob("retried with its task", history, (record) => generating(record) && record.attemptsBefore > 0);
  await job.rpc.remove(null);
  keepTombstone("tombstone with a task to cancel", history, (tombstone) => hasMessage(tombstone, "cancel_task"));
}

async function deadline(): Promise<void> {
  const job = testJob({ model: TASK_MODEL, deadlineSeconds: 2 });
  await job.spoil({ fault: { type: "task-stuck", status: "PENDING" } });
  const history = await historyOf(job);
  await job.submit();
  await job.done();
  keepJob(
    "failed at its deadline with a task to cancel",
    history,
    (record) => status("failed")(record) && hasMessage(record, "cancel_task"),
  );
}

async function secondLife(): Promise<void> {
  const job = await testJob().spoil({ fault: REJECTED }, { fault: HOLD });
  const history = await historyOf(job);
  await (await job.submit()).done();
  keepJob("failed", history, status("failed"));
  await job.rpc.retry(null);
  await job.held();
  keepJob("retried", history, (record) => status("queued")(record) && record.attemptsBefore === 1);
  keepJob("generating after a retry", history, (record) => generating(record) && record.attemptsBefore === 1);
  await job.rpc.remove(null);
  keepTombstone("tombstone with a lease to give back", history, (tombstone) => hasMessage(tombstone, "release"));
  await job.release();
}

async function longLog(): Promise<void> {
  const job = await testJob().spoil({ fault: REJECTED, times: null });
  const history = await historyOf(job);
  await (await job.submit()).done();
  const isPaged = () => history.some(({ kv }) => Object.keys(kv).length > 1);
  while (!isPaged()) {
    await job.rpc.retry(null);
    await job.done();
  }
  keepJob("failed with a long log", history, status("failed"));
}

async function upload(): Promise<void> {
  const source = await testJob().submit();
  const image = (await source.done()).output?.images[0];
  const [file] = await source.images();
  if (image === undefined || file === undefined) throw new Error("no image to edit");
  const { contentType, bytes, sha256, width, height } = image;
  const link = { kind: "url", url: "https://example.com/a.png" } as const;
  const job = testJob({ images: [{ kind: "upload", contentType, bytes, sha256, width, height }, link] });
  expect(job.submission.model).toBe(EDIT_MODEL);
  const body = await (await env.RESULTS.get(file.key))?.arrayBuffer();
  await env.RESULTS.put(`jobs/${job.id}/inputs/${sha256}`, body ?? "");
  const history = await historyOf(job);
  await (await job.submit()).done();
  keepJob("queued with an upload", history, ({ seq }) => seq === 1);
}

/** The tables and keys of the catalog that all of these jobs reported to, with one running and one queued job. */
async function catalog() {
  const model = "wan2.2-t2i-flash";
  await laneStub(env, laneOf(model)).observe({ kind: "blocked", code: "InvalidApiKey", hint: "by a test" });
  const waiting = await testJob({ model, size: "1024*1024" }).submit();
  const running = await testJob().spoil({ fault: HOLD });
  await (await running.submit()).held();
  await until("both in the list", async () => {
    const list = await catalogStub(env, CLIENT).list({
      status: ["queued", "running"],
      workflow: null,
      limit: 9,
      cursor: null,
    });
    return list.ok && list.entries.length === 2 ? true : undefined;
  });
  const dumped = await dumpOfCatalog();
  await waiting.rpc.remove(null);
  await running.release();
  return dumped;
}

async function dumpOfCatalog() {
  await catalogStub(env, CLIENT).reserve(3, 1_000);
  return await runInDurableObject(env.CATALOGS.getByName(CLIENT), (_catalog, { storage }) => {
    const sql = (query: string) => storage.sql.exec<Record<string, string | number>>(query).toArray();
    const ours = sql("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").filter(
      ({ name }) => !String(name).startsWith("_"),
    );
    const tables = ours.filter(({ type }) => type === "table").map(({ name }) => String(name));
    return {
      atMs: Date.now(),
      schema: ours.map(({ sql: statement }) => statement),
      tables: Object.fromEntries(tables.map((name) => [name, sql(`SELECT * FROM "${name}"`)])),
      kv: Object.fromEntries(storage.kv.list()),
    };
  });
}

/** JSON with one job a line. */
function lines(entries: Readonly<Record<string, unknown>>): string {
  const each = Object.entries(entries).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  return `{\n${each.join(",\n")}\n}\n`;
}

it.runIf(written[`./version-${VERSION}.json`] === undefined)(
  "writes a job in each place, tombstones and a catalog",
  { timeout: 300_000 },
  async () => {
    withoutJitter();
    const scenes = [
      failuresAndOpenCalls,
      twoOpenCalls,
      lateAnswer,
      task,
      copies,
      putBack,
      blocked,
      stuckTask,
      deadline,
    ];
    for (const scene of [...scenes, secondLife, longLog, upload]) await scene();
    const all = { upstream: env.QWEN_BASE_URL, ...stored };
    const ofCatalog = { upstream: env.QWEN_BASE_URL, ...(await catalog()) };
    for (const value of [all, ofCatalog]) expect(JSON.parse(JSON.stringify(value))).toEqual(value);
    await expect(lines(all)).toMatchFileSnapshot(`./version-${VERSION}.json`);
    await expect(lines(ofCatalog)).toMatchFileSnapshot(`../../catalog/stored/version-${VERSION}.json`);
  },
);
