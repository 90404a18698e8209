import { DurableObject } from "cloudflare:workers";
import type { OperatorEntries, OperatorEntry } from "../../schemas/operator.ts";
import type { NewOperatorEntry, OperatorLogRpc } from "./contract.ts";

const TABLE = "CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, entry TEXT NOT NULL)";

type Row = { seq: number; at_ms: number; entry: string };

/** The operator's log: one object per deployment, append-only. */
export class OperatorLog extends DurableObject<Env> implements OperatorLogRpc {
  async append(entry: NewOperatorEntry): Promise<{ readonly seq: number }> {
    const { sql } = this.ctx.storage;
    sql.exec(TABLE);
    const query = "INSERT INTO log (at_ms, entry) VALUES (?, ?) RETURNING seq";
    return { seq: sql.exec<{ seq: number }>(query, Date.now(), JSON.stringify(entry)).one().seq };
  }

  async list(before: number | null, limit: number): Promise<OperatorEntries> {
    const { sql } = this.ctx.storage;
    // Reading an empty log must store nothing.
    if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'log'").toArray().length === 0) {
      return { entries: [], nextCursor: null };
    }
    const query = "SELECT * FROM log WHERE seq < ? ORDER BY seq DESC LIMIT ?";
    const rows = sql.exec<Row>(query, before ?? Number.MAX_SAFE_INTEGER, limit + 1).toArray();
    const entries = rows.slice(0, limit).map(entryOf);
    return { entries, nextCursor: rows.length > limit ? String(entries.at(-1)?.seq) : null };
  }
}

function entryOf({ seq, at_ms, entry }: Row): OperatorEntry {
  // Only `append` writes the column.
  return { seq, at: new Date(at_ms).toISOString(), ...(JSON.parse(entry) as NewOperatorEntry) };
}
