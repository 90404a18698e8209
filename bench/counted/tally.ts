/** What is billed, as the runtime itself counts it: requests to objects, rows, R2 operations. */
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
  /** By method. */
  calls: Record<string, number>;
  /** Rows written, by what wrote them. */
  writes: Record<string, number>;
}

export interface Counts {
  workerRequests: number;
  r2ClassA: number;
  r2ClassB: number;
  objects: Record<string, Tally>;
}

/** Notes rows written by `what`. */
export function wrote(tally: Tally, what: string, rows: number): void {
  if (rows === 0) return;
  tally.rowsWritten += rows;
  tally.writes[what] = (tally.writes[what] ?? 0) + rows;
}

export function newTally(): Tally {
  return { requests: 0, alarms: 0, socketMessages: 0, rowsRead: 0, rowsWritten: 0, calls: {}, writes: {} };
}

/** What is billed of the Workflow peer. */
export interface WorkflowCounts {
  workerRequests: number;
  /** Each time an instance runs, which is one request more. */
  runs: number;
  steps: number;
  r2ClassA: number;
  r2ClassB: number;
}
