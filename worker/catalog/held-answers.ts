import type { HeldClaim } from "./contract.ts";
import { type HeldMark, markToTake, SENT_IN_VAIN_MS, type Waiter } from "./core/held-marks.ts";

const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS held_answers (
     key TEXT PRIMARY KEY,
     fingerprint TEXT NOT NULL,
     marked_at_ms INTEGER NOT NULL
   ) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS held_answers_same ON held_answers (fingerprint)",
  "CREATE INDEX IF NOT EXISTS held_answers_old ON held_answers (marked_at_ms)",
];

/** A mark is kept for so long, in ms: nobody repeats a request after that. */
const MARK_MS = 30 * 86_400_000;
/** So many old marks go with each new one. */
const PRUNED_AT_ONCE = 10;
/** Answers sent that are remembered; each for a minute. */
const MOST_SENT = 500;

interface MarkRow extends Record<string, SqlStorageValue> {
  key: string;
  fingerprint: string;
  marked_at_ms: number;
}

/**
 * The answers that a client waits for, or waited for in vain. Marks are stored; who waits is known in memory only, so that after
 * a crash nobody waits and the next identical request takes the job at once.
 */
export class HeldAnswers {
  readonly #sql: SqlStorage;
  readonly #waiters = new Map<string, Waiter>();
  /** Fingerprint → the answer sent last. */
  readonly #sent = new Map<string, { readonly key: string; readonly atMs: number }>();
  #created = false;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  /** The key of the job to wait for: of an earlier identical request, or the claim's own, whose mark is stored then. */
  claim({ fingerprint, key, holder, isRepeat }: HeldClaim, nowMs: number): string {
    this.#create();
    const marks = this.#sql
      .exec<MarkRow>("SELECT key, fingerprint, marked_at_ms FROM held_answers WHERE fingerprint = ?", fingerprint)
      .toArray()
      .map((row): HeldMark => {
        return { key: row.key, markedAtMs: row.marked_at_ms, waiter: this.#waiters.get(row.key) ?? null };
      });
    // The answer to the same claim may have been lost.
    const own = marks.find(({ waiter }) => waiter?.holder === holder);
    const taken = own ?? markToTake(marks, isRepeat, nowMs);
    this.#sql.exec(
      `DELETE FROM held_answers WHERE key IN
         (SELECT key FROM held_answers WHERE marked_at_ms < ? ORDER BY marked_at_ms LIMIT ?)`,
      nowMs - MARK_MS,
      PRUNED_AT_ONCE,
    );
    const chosen = taken?.key ?? (isRepeat ? this.#sentInVain(fingerprint, nowMs) : null) ?? key;
    this.#sql.exec(
      "INSERT OR IGNORE INTO held_answers (key, fingerprint, marked_at_ms) VALUES (?, ?, ?)",
      chosen,
      fingerprint,
      nowMs,
    );
    this.#waiters.set(chosen, { holder, sinceMs: nowMs });
    return chosen;
  }

  /**
   * The holder waits no longer. `delivered`: its client has the answer, and the same request again is a new one. `undelivered`:
   * the next identical request takes the job. Nothing happens when another request has taken over since.
   */
  settle(key: string, holder: string, how: "delivered" | "undelivered", nowMs: number): void {
    const waiter = this.#waiters.get(key);
    if (waiter !== undefined && waiter.holder !== holder) return;
    this.#waiters.delete(key);
    if (how === "undelivered") return;
    this.#create();
    const [mark] = this.#sql
      .exec<MarkRow>("DELETE FROM held_answers WHERE key = ? RETURNING key, fingerprint, marked_at_ms", key)
      .toArray();
    if (mark !== undefined) this.#remember(mark.fingerprint, key, nowMs);
  }

  #sentInVain(fingerprint: string, nowMs: number): string | null {
    const sent = this.#sent.get(fingerprint);
    return sent !== undefined && nowMs - sent.atMs < SENT_IN_VAIN_MS ? sent.key : null;
  }

  #remember(fingerprint: string, key: string, nowMs: number): void {
    this.#sent.delete(fingerprint);
    this.#sent.set(fingerprint, { key, atMs: nowMs });
    const [oldest] = this.#sent.keys();
    if (this.#sent.size > MOST_SENT && oldest !== undefined) this.#sent.delete(oldest);
  }

  /** Only clients of the compatible APIs have the table. */
  #create(): void {
    if (this.#created) return;
    for (const statement of SCHEMA) this.#sql.exec(statement);
    this.#created = true;
  }
}
