import type { OperatorEntries, OperatorEntry } from "../../schemas/operator.ts";

export type NewOperatorEntry = Omit<OperatorEntry, "seq" | "at">;

/** The calls of the operator's log. */
export interface OperatorLogRpc {
  /** Adds an entry at the end. Once it is answered the entry is durable; nothing changes or removes it. */
  append(entry: NewOperatorEntry): Promise<{ readonly seq: number }>;
  /** At most `limit` entries before `before` (`null`: the newest), newest first. */
  list(before: number | null, limit: number): Promise<OperatorEntries>;
}
