import type { HeldClaim } from "./contract.ts";
import { type HeldMark, markOfLater, markToTake, SENT_IN_VAIN_MS, type Waiter } from "./core/held-marks.ts";

const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS held_marks (
     key TEXT PRIMARY KEY,
     fingerprint TEXT NOT NULL,
     holder TEXT NOT NULL,
     marked_at_ms INTEGER NOT NULL,
     repeated_at_ms INTEGER
   ) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS held_marks_same ON held_marks (fingerprint)",
  "CREATE INDEX IF NOT EXISTS held_marks_old ON held_marks (marked_at_ms)",
];

/** How long a mark is kept, in ms: as long as a job by default. Until then the next identical request takes the job, done or not. */
const MARK_MS = 30 * 86_400_000;
/** How many old marks are deleted with each new one. */
const PRUNED_AT_ONCE = 10;
/** How many sent answers are remembered at once. */
const MOST_SENT = 500;

interface MarkRow extends Record<string, SqlStorageValue> {
  key: string;
  fingerprint: string;
  /** The request that took the mark last. It waits, or waited. */
  holder: string;
  marked_at_ms: number;
  /** When the latest repetition that took the mark arrived. */
  repeated_at_ms: number | null;
}

/** An answer that was sent. `repeatedAtMs`: as of its mark. */
interface Sent extends Pick<HeldMark, "key" | "repeatedAtMs"> {
  readonly atMs: number;
}

const ADD_REPEATED = "ALTER TABLE held_marks ADD COLUMN repeated_at_ms INTEGER";

/**
 * The answers that a client waits for, or waited for in vain. A mark and its last holder are stored. That the holder waits is
 * kept in memory only, and the holder reports it again every few seconds: after an eviction it is soon known again. After a crash
 * nobody reports it, and the next identical request takes the job at once.
 */
export class HeldAnswers {
  readonly #sql: SqlStorage;
  readonly #waiters = new Map<string, Waiter>();
  /** Fingerprint → the answer sent last. */
  readonly #sent = new Map<string, Sent>();
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
    const marks = rows.map(({ key, marked_at_ms, repeated_at_ms }): HeldMark => {
      return { key, markedAtMs: marked_at_ms, waiter: this.#waiters.get(key) ?? null, repeatedAtMs: repeated_at_ms };
    });
    // A repeated claim, whose first answer was lost, gets the same answer.
    const own = rows.find((row) => row.holder === holder);
    const later = own === undefined ? markOfLater([...marks, ...this.#sentOf(fingerprint)], receivedAtMs) : null;
    if (later !== null) return later.key;
    const taken = own ?? markToTake(marks, { isRepeat, hiddenHangUpMs }, nowMs);
    const chosen = taken?.key ?? (isRepeat ? this.#sentInVain(fingerprint, nowMs) : null) ?? key;
    this.#sql.exec(
      `DELETE FROM held_marks WHERE key IN
         (SELECT key FROM held_marks WHERE marked_at_ms < ? ORDER BY marked_at_ms LIMIT ?)`,
      nowMs - MARK_MS,
      PRUNED_AT_ONCE,
    );
    this.#sql.exec(
      `INSERT INTO held_marks (key, fingerprint, holder, marked_at_ms, repeated_at_ms) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (key) DO UPDATE
         SET holder = excluded.holder, repeated_at_ms = coalesce(excluded.repeated_at_ms, repeated_at_ms)`,
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
      .exec<MarkRow>("SELECT * FROM held_marks WHERE key = ? AND holder = ?", key, holder)
      .toArray();
    if (row === undefined) return false;
    const known = this.#waiters.get(key);
    this.#waiters.set(key, { sinceMs: known?.sinceMs ?? nowMs, heardAtMs: nowMs });
    return true;
  }

  /**
   * The holder waits no longer. `delivered`: its client has the answer, and the same request again is a new one. `undelivered`:
   * the next identical request takes the job. Nothing happens when another request has taken the mark since: that one decides,
   * even if it waits no longer.
   */
  settle(key: string, holder: string, how: "delivered" | "undelivered", nowMs: number): void {
    this.#create();
    const mark = "WHERE key = ? AND holder = ? RETURNING *";
    // With the holder cleared, a `stillHeld` that is executed late changes nothing.
    const change = how === "delivered" ? "DELETE FROM held_marks" : "UPDATE held_marks SET holder = ''";
    const statement = `${change} ${mark}`;
    const [row] = this.#sql.exec<MarkRow>(statement, key, holder).toArray();
    if (row === undefined) return;
    this.#waiters.delete(key);
    if (how === "delivered") this.#remember(row.fingerprint, { key, atMs: nowMs, repeatedAtMs: row.repeated_at_ms });
  }

  #sentOf(fingerprint: string): readonly Sent[] {
    const sent = this.#sent.get(fingerprint);
    return sent === undefined ? [] : [sent];
  }

  #sentInVain(fingerprint: string, nowMs: number): string | null {
    const sent = this.#sent.get(fingerprint);
    // From now on the mark that this claim stores decides who gets the job.
    this.#sent.delete(fingerprint);
    return sent !== undefined && nowMs - sent.atMs < SENT_IN_VAIN_MS ? sent.key : null;
  }

  #remember(fingerprint: string, sent: Sent): void {
    this.#sent.delete(fingerprint);
    this.#sent.set(fingerprint, sent);
    const [oldest] = this.#sent.keys();
    if (this.#sent.size > MOST_SENT && oldest !== undefined) this.#sent.delete(oldest);
  }

  /** Only clients of the compatible APIs have the table. */
  #create(): void {
    if (this.#created) return;
    const [made] = this.#sql.exec<{ sql: string }>("SELECT sql FROM sqlite_master WHERE name = 'held_marks'").toArray();
    if (made !== undefined && !/\brepeated_at_ms\b/.test(made.sql)) this.#sql.exec(ADD_REPEATED);
    for (const statement of SCHEMA) this.#sql.exec(statement);
    this.#created = true;
  }
}
