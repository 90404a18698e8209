import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const NOBODY = "job_000000000000000000000";

/** A file of a job without an `Idempotency-Key`, by its key: an image or an input, no variant. */
const FILE = /^jobs\/(job_[0-9a-f]{64})\/[^/]+\/[^/]+$/;

/** Runs `work` on the databases of a folder that `name` matches and that have this table, until one is changed. */
function change(
  folder: string,
  table: string,
  work: (database: DatabaseSync) => { readonly changes: number | bigint },
  name = /^[0-9a-f]{64}\.sqlite$/,
): void {
  for (const file of readdirSync(folder).filter((each) => name.test(each))) {
    const database = new DatabaseSync(join(folder, file));
    try {
      if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = ?").get(table) === undefined) continue;
      if (work(database).changes > 0) return;
    } finally {
      database.close();
    }
  }
  throw new Error(`nothing in ${folder} could be changed`);
}

/**
 * Plants one fault of each kind in a stopped product's state; returns words that the findings must contain. Each fault changes
 * another job, because one fault can hide another: the check expects no files of a job that has no record.
 */
export function plant(stateDir: string): readonly string[] {
  const folder = join(stateDir, "v3");
  let misses = "";
  let recordless = "";
  change(join(folder, "r2/miniflare-R2BucketObject"), "_mf_objects", (database) => {
    const files = database.prepare("SELECT key FROM _mf_objects ORDER BY key").all();
    const jobs = new Map(files.flatMap(({ key }) => [[FILE.exec(String(key))?.[1] ?? "", String(key)]]));
    jobs.delete("");
    const [first, second] = [...jobs];
    if (first === undefined || second === undefined) throw new Error("no two jobs have files");
    misses = first[0];
    recordless = second[0];
    return database.prepare("UPDATE _mf_objects SET key = ? WHERE key = ?").run(`jobs/${NOBODY}/1/0`, first[1]);
  });
  change(join(folder, "do/darkroom-ClientCatalog"), "jobs", (database) => {
    const query = "UPDATE jobs SET status = 'queued' WHERE id = (SELECT min(id) FROM jobs WHERE id NOT IN (?, ?))";
    return database.prepare(query).run(misses, recordless);
  });
  change(join(folder, "do/darkroom-LaneDispatcher"), "leases", (database) => {
    const insert = `INSERT INTO leases (job_id, lease_id, client, priority, turn, seq, round, watched, starts_at_ms, ends_at_ms)
      VALUES (?, 'a', 'a', 1, 1, 1, 1, 0, 1, 1)`;
    return database.prepare(insert).run(NOBODY);
  });
  // The id of a job without a key is that of its object.
  const jobs = join(folder, "do/darkroom-GenerationJob");
  const rename = "UPDATE _cf_KV SET key = 'log/0000000001' WHERE key = 'record'";
  change(jobs, "_cf_KV", (database) => database.prepare(rename).run(), new RegExp(`^${recordless.slice(4)}\\.sqlite$`));
  return ["belongs to no job", "is missing", "in the list of", "among its leases", "and no record"];
}
