import type { HeldClaim } from "./contract.ts";
import { type HeldMark, markOfLater, markToTake, sentInVain, type Waiter } from "./core/held-marks.ts";

const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS held_marks (
     key TEXT PRIMARY KEY,
     fingerprint TEXT NOT NULL,
     holder TEXT NOT NULL,
     marked_at_ms INTEGER NOT NULL,
     repeated_at_ms INTEGER,
     sent_at_ms INTEGER
   ) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS held_marks_same ON held_marks (fingerprint)",
  "CREATE INDEX IF NOT EXISTS held_marks_old ON held_marks (marked_at_ms)",
];
/** Columns that a table of an earlier version lacks. */
const NEWER_COLUMNS = ["repeated_at_ms", "sent_at_ms"];

/** How long a mark is kept, in ms: as long as a job by default. Until then the next identical request takes the job, done or not. */
const MARK_MS = 30 * 86_400_000;
/** How long the mark of an answer that was sent is kept, in ms. By then no claim of an earlier request is carried out any more. */
const SENT_KEPT_MS = 60_000;
/** How many old marks are deleted with each new one. */
const PRUNED_AT_ONCE = 10;

interface MarkRow extends Record<string, SqlStorageValue> {
  key: string;
  fingerprint: string;
  /** The request that took the mark last. It waits, or waited; empty: it waits no longer. */
  holder: string;
  /** The mark is deleted `MARK_MS` after this. */
  marked_at_ms: number;
  /** When the latest repetition that took the mark arrived. */
  repeated_at_ms: number | null;
  /** When the answer was sent. */
  sent_at_ms: number | null;
}

/**
 * The answers that a client waits for, waited for in vain, or was sent a moment ago. A mark and its last holder are stored. That
 * the holder waits is kept in memory only, and the holder reports it again every few seconds: after an eviction it is soon known
 * again. After a crash nobody reports it, and the next identical request takes the job at once.
 */
export class HeldAnswers {
  readonly #sql: SqlStorage;
  readonly #waiters = new Map<string, Waiter>();
  #created = false;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  /**
   * The key of the job to wait for: of an earlier identical request, or the claim's own, whose mark is stored then. A request that
   * its client has given up for a later one gets the later one's key, and takes nothing over.
   */
  claim(claim: HeldClaim, nowMs: number): string {
    const { fingerprint, key, holder, isRepeat, hiddenHangUpMs = Number.POSITIVE_INFINITY } = claim;
    const { receivedAtMs = nowMs } = claim;
    // The mark of a request that is over would never get a job, and the next repetition would take it.
    if (claim.untilMs !== undefined && nowMs > claim.untilMs) return key;
    this.#create();
    const rows = this.#sql.exec<MarkRow>("SELECT * FROM held_marks WHERE fingerprint = ?", fingerprint).toArray();
    const marks = rows.map((row): HeldMark => {
      const { key, marked_at_ms, repeated_at_ms: repeatedAtMs, sent_at_ms: sentAtMs } = row;
      return { key, markedAtMs: marked_at_ms, waiter: this.#waiters.get(key) ?? null, repeatedAtMs, sentAtMs };
    });
    // A repeated claim, whose first answer was lost, gets the same answer. It may come when its request is over.
    const own = rows.find((row) => row.holder === holder);
    if (own !== undefined && own.sent_at_ms !== null) return own.key;
    if (own === undefined && rows.some((row) => row.key === key)) return key;
    const later = own === undefined ? markOfLater(marks, receivedAtMs) : null;
    if (later !== null) return later.key;
    const taken = own ?? markToTake(marks, { isRepeat, hiddenHangUpMs }, nowMs);
    const chosen = taken?.key ?? (isRepeat ? sentInVain(marks, nowMs)?.key : null) ?? key;
    this.#sql.exec(
      `DELETE FROM held_marks WHERE key IN
         (SELECT key FROM held_marks WHERE marked_at_ms < ? ORDER BY marked_at_ms LIMIT ?)`,
      nowMs - MARK_MS,
      PRUNED_AT_ONCE,
    );
    this.#sql.exec(
      `INSERT INTO held_marks (key, fingerprint, holder, marked_at_ms, repeated_at_ms) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (key) DO UPDATE
         SET holder = excluded.holder, repeated_at_ms = coalesce(excluded.repeated_at_ms, repeated_at_ms), sent_at_ms = NULL,
           marked_at_ms = CASE WHEN sent_at_ms IS NULL THEN marked_at_ms ELSE excluded.marked_at_ms END`,
      chosen,
      fingerprint,
      holder,
      nowMs,
      isRepeat ? receivedAtMs : null,
    );
    this.#waiters.set(chosen, { sinceMs: nowMs, heardAtMs: nowMs });
    return chosen;
  }

  /** The holder still waits. False when it is settled, or another request has taken the mark since. */
  stillWaits(key: string, holder: string, nowMs: number): boolean {
    this.#create();
    const [row] = this.#sql
      .exec<MarkRow>("SELECT * FROM held_marks WHERE key = ? AND holder = ? AND sent_at_ms IS NULL", key, holder)
      .toArray();
    if (row === undefined) return false;
    const known = this.#waiters.get(key);
    this.#waiters.set(key, { sinceMs: known?.sinceMs ?? nowMs, heardAtMs: nowMs });
    return true;
  }

  /**
   * The holder waits no longer. `delivered`: its client was sent the answer, and the same request again is a new one, unless it
   * states soon that it is a repetition. `undelivered`: the next identical request takes the job, also after `delivered` when the
   * client hung up meanwhile. Nothing happens when another request has taken the mark since: that one decides, even if it waits
   * no longer.
   */
  settle(key: string, holder: string, how: "delivered" | "undelivered", nowMs: number): void {
    this.#create();
    const which = "WHERE key = ? AND holder = ?";
    const changed =
      how === "undelivered"
        ? // With the holder cleared, another call of the request that is executed late changes nothing.
          this.#sql.exec(
            `UPDATE held_marks SET holder = '', sent_at_ms = NULL,
               marked_at_ms = CASE WHEN sent_at_ms IS NULL THEN marked_at_ms ELSE ? END ${which} RETURNING key`,
            nowMs,
            key,
            holder,
          )
        : // The call is repeated when its answer is late, and the client's answer leaves after the last one.
          this.#sql.exec(
            `UPDATE held_marks SET sent_at_ms = ?, marked_at_ms = ? ${which} RETURNING key`,
            nowMs,
            nowMs - MARK_MS + SENT_KEPT_MS,
            key,
            holder,
          );
    if (changed.toArray().length > 0) this.#waiters.delete(key);
  }

  /** Only clients of the compatible APIs have the table. */
  #create(): void {
    if (this.#created) return;
    const [made] = this.#sql.exec<{ sql: string }>("SELECT sql FROM sqlite_master WHERE name = 'held_marks'").toArray();
    if (made === undefined) for (const statement of SCHEMA) this.#sql.exec(statement);
    for (const column of made === undefined ? [] : NEWER_COLUMNS) {
      if (!made?.sql.includes(column)) this.#sql.exec(`ALTER TABLE held_marks ADD COLUMN ${column} INTEGER`);
    }
    this.#created = true;
  }
}
