import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const NOBODY = "job_000000000000000000000";

/** Runs `work` on the first database of a folder that has a row in this table. */
function change(folder: string, table: string, work: (database: DatabaseSync) => void): void {
  for (const name of readdirSync(folder)) {
    if (!/^[0-9a-f]{64}\.sqlite$/.test(name)) continue;
    const database = new DatabaseSync(join(folder, name));
    try {
      if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = ?").get(table) === undefined) continue;
      if (database.prepare(`SELECT 1 FROM "${table}"`).get() === undefined && table !== "leases") continue;
      work(database);
      return;
    } finally {
      database.close();
    }
  }
  throw new Error(`nothing in ${folder} has a ${table}`);
}

/** Plants one fault of each kind in a stopped product's state; returns words that the findings must contain. */
export function plant(stateDir: string): readonly string[] {
  const folder = join(stateDir, "v3");
  change(join(folder, "r2/miniflare-R2BucketObject"), "_mf_objects", (database) => {
    database
      .prepare("UPDATE _mf_objects SET key = ? WHERE key = (SELECT min(key) FROM _mf_objects)")
      .run(`jobs/${NOBODY}/1/0`);
  });
  change(join(folder, "do/darkroom-ClientCatalog"), "jobs", (database) => {
    database.prepare("UPDATE jobs SET status = 'queued' WHERE id = (SELECT min(id) FROM jobs)").run();
  });
  change(join(folder, "do/darkroom-LaneDispatcher"), "leases", (database) => {
    const insert = `INSERT INTO leases (job_id, lease_id, client, priority, turn, seq, round, watched, starts_at_ms, ends_at_ms)
      VALUES (?, 'a', 'a', 1, 1, 1, 1, 0, 1, 1)`;
    database.prepare(insert).run(NOBODY);
  });
  change(join(folder, "do/darkroom-GenerationJob"), "_cf_KV", (database) => {
    database.prepare("UPDATE _cf_KV SET key = 'log/0000000001' WHERE key = 'record'").run();
  });
  return ["belongs to no job", "is missing", "in the list of", "among its leases", "and no record"];
}
