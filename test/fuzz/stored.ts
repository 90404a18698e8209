import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { deserialize } from "node:v8";
import type { JobRecord, StoredRecord } from "../../worker/job/core/record.ts";

type Row = Readonly<Record<string, unknown>>;

/** An object's database: its name where it is known, and the rows of a table (none when it has no such table). */
interface Stored {
  readonly name: string | null;
  rows(table: string): readonly Row[];
}

function databases(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name))
    .map((name) => join(folder, name));
}

function read<Result>(path: string, work: (stored: Stored) => Result): Result {
  const database = new DatabaseSync(path);
  try {
    const hasTable = database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
    const rows = (table: string): readonly Row[] => {
      if (hasTable.get(table) === undefined) return [];
      const all = database.prepare(`SELECT * FROM "${table}"`);
      all.setReadBigInts(true);
      return all.all();
    };
    // The local runtime stores the name when it starts an object. An object that removes dropped uploads deletes the name with
    // them, and a submission that repeats the dropped one is then stored without a name.
    const [row] = rows("__miniflare_do_name");
    return work({ name: row === undefined ? null : String(row.name), rows });
  } finally {
    database.close();
  }
}

type Kept = StoredRecord;

const FINAL: readonly string[] = ["succeeded", "failed", "canceled"];

/** The record that one job's object keeps, and what is wrong with it. */
function readJob({ name: storedName, rows }: Stored): {
  readonly kept: Kept | null;
  readonly wrong: readonly string[];
} {
  const entries = new Map(rows("_cf_KV").map((row) => [String(row.key), row.value]));
  if (entries.size === 0) return { kept: null, wrong: [] };
  const value = entries.get("record");
  if (!(value instanceof Uint8Array))
    return { kept: null, wrong: [`${storedName} keeps ${[...entries.keys()]} and no record`] };
  // Only `JobStore` writes it.
  const kept = deserialize(value) as Kept;
  const name = storedName ?? kept.id;
  const wrong: string[] = [];
  if (kept.id !== name) wrong.push(`${name} keeps the record of ${kept.id}`);
  if (kept.outbox.length > 0) wrong.push(`${name} has not sent all: ${JSON.stringify(kept.outbox)}`);
  if (kept.kind === "tombstone") {
    if (entries.size > 1) wrong.push(`${name} is gone and keeps ${[...entries.keys()]}`);
  } else if (!FINAL.includes(kept.state.status)) wrong.push(`${name} is still ${kept.state.status}`);
  return { kept, wrong };
}

/** The objects in the bucket that may belong to a job. */
function filesOf(record: JobRecord): ReadonlySet<string> {
  const inputs = record.request.images.flatMap((image) =>
    image.kind === "upload" ? [`jobs/${record.id}/inputs/${image.sha256}`] : [],
  );
  const images = record.state.status === "succeeded" ? record.state.images.map(({ key }) => key) : [];
  return new Set([...inputs, ...images]);
}

/** The image beside which a variant is kept. */
function imageOf(key: string): string {
  return key.slice(0, key.lastIndexOf("/"));
}

function checkFiles(
  folder: string,
  jobs: ReadonlyMap<string, Kept>,
): { readonly files: number; readonly wrong: readonly string[] } {
  const keys = databases(join(folder, "r2/miniflare-R2BucketObject")).flatMap((path) =>
    read(path, ({ rows }) => rows("_mf_objects").map(({ key }) => String(key))),
  );
  const there = new Set(keys);
  const wrong: string[] = [];
  for (const key of keys) {
    const kept = jobs.get(key.split("/")[1] ?? "");
    if (kept === undefined) wrong.push(`${key} belongs to no job`);
    else if (kept.kind === "tombstone") wrong.push(`${key} belongs to a job that is gone`);
    else if (!filesOf(kept).has(key) && !filesOf(kept).has(imageOf(key)))
      wrong.push(`${key} is none of its job's, which is ${kept.state.status}`);
  }
  for (const kept of jobs.values()) {
    if (kept.kind === "job") for (const key of filesOf(kept)) if (!there.has(key)) wrong.push(`${key} is missing`);
  }
  return { files: keys.length, wrong };
}

/** Checks that each job is in its client's list with its status, and that nothing else is. */
function checkLists(folder: string, jobs: ReadonlyMap<string, Kept>): string[] {
  const listed = new Map<string, string>();
  for (const path of databases(join(folder, "do/darkroom-ClientCatalog"))) {
    read(path, ({ name, rows }) => {
      for (const { id, status } of rows("jobs")) listed.set(`${name} ${id}`, String(status));
    });
  }
  const wrong: string[] = [];
  for (const kept of jobs.values()) {
    const place = `${kept.client} ${kept.id}`;
    const status = kept.kind === "tombstone" ? "gone" : kept.state.status;
    if (listed.get(place) !== status)
      wrong.push(`${kept.id} is ${status}, and in the list of ${kept.client} ${listed.get(place)}`);
    listed.delete(place);
  }
  for (const [place, status] of listed) wrong.push(`a list has ${place} as ${status}, and there is no such job`);
  return wrong;
}

function checkLanes(folder: string): string[] {
  return databases(join(folder, "do/darkroom-LaneDispatcher")).flatMap((path) =>
    read(path, ({ name, rows }) =>
      ["waiting", "leases"].flatMap((table) =>
        rows(table).map((row) => `the lane ${name} still has ${String(row.job_id)} among its ${table}`),
      ),
    ),
  );
}

export interface StoredVerdict {
  readonly jobs: number;
  readonly removed: number;
  readonly files: number;
  /** Jobs whose outbox is not empty; each is in `wrong` too. */
  readonly unsent: number;
  readonly wrong: readonly string[];
}

/** Reads all state of a stopped product whose jobs are all done, and finds what is stored in part or belongs to no job. */
export function judgeStored(stateDir: string): StoredVerdict {
  const folder = join(stateDir, "v3");
  const jobs = new Map<string, Kept>();
  const wrong: string[] = [];
  for (const path of databases(join(folder, "do/darkroom-GenerationJob"))) {
    const job = read(path, readJob);
    wrong.push(...job.wrong);
    if (job.kept !== null) jobs.set(job.kept.id, job.kept);
  }
  const { files, wrong: wrongFiles } = checkFiles(folder, jobs);
  wrong.push(...wrongFiles, ...checkLists(folder, jobs), ...checkLanes(folder));
  const removed = [...jobs.values()].filter(({ kind }) => kind === "tombstone").length;
  const unsent = [...jobs.values()].filter(({ outbox }) => outbox.length > 0).length;
  return { jobs: jobs.size - removed, removed, files, unsent, wrong };
}
