/** The billed amounts, counted as the runtime counts them: requests to objects, rows, R2 operations. */
export interface Tally {
  /** Calls of methods, `fetch` and alarms. */
  requests: number;
  /** Of these, alarms. */
  alarms: number;
  /** Messages from sockets: twenty cost as much as one request. */
  socketMessages: number;
  rowsRead: number;
  /** Rows of tables and indexes, key-value pairs, and each alarm that is set. */
  rowsWritten: number;
  /** Calls by method. */
  calls: Record<string, number>;
  /** Rows written, by the statement or method that wrote them. */
  writes: Record<string, number>;
}

export interface Counts {
  workerRequests: number;
  r2ClassA: number;
  r2ClassB: number;
  objects: Record<string, Tally>;
}

/** Counts rows written by `what`. */
export function wrote(tally: Tally, what: string, rows: number): void {
  if (rows === 0) return;
  tally.rowsWritten += rows;
  tally.writes[what] = (tally.writes[what] ?? 0) + rows;
}

export function newTally(): Tally {
  return { requests: 0, alarms: 0, socketMessages: 0, rowsRead: 0, rowsWritten: 0, calls: {}, writes: {} };
}

/** The billed amounts of the Workflow peer. */
export interface WorkflowCounts {
  workerRequests: number;
  /** Runs of instances; each is billed as one more request. */
  runs: number;
  steps: number;
  r2ClassA: number;
  r2ClassB: number;
}
