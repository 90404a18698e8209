/*
 * Cloudflare's prices on the paid plan beyond the included amounts, in dollars per million of each unless stated otherwise, from
 * its pages on the pricing of Durable Objects, Workers, R2 and Workflows in November 2026.
 */
const WORKER_REQUEST = 0.3;
const WORKER_CPU_MS = 0.02;
const OBJECT_REQUEST = 0.15;
const OBJECT_GIGABYTE_SECOND = 12.5;
/** An object is billed for this much memory while it is awake, also when it uses less. */
const OBJECT_GIGABYTES = 0.128;
const ROW_READ = 0.001;
const ROW_WRITTEN = 1;
const R2_CLASS_A = 4.5;
const R2_CLASS_B = 0.36;
/** The price is 0.80 for each hundred thousand. */
const WORKFLOW_STEP = 8;
/** Dollars for a gigabyte and month of the state of objects and of Workflows. */
const STATE_GIGABYTE_MONTH = 0.2;
const R2_GIGABYTE_MONTH = 0.015;

/** What every product that keeps the images of a million jobs pays: 1.5 MB for each, for a month. */
const IMAGES_A_MONTH = 1500 * R2_GIGABYTE_MONTH;

/** What one job used, on average over a scene; all counted or measured except `awakeSeconds`. */
export interface JobCost {
  readonly workerRequests: number;
  readonly objectRequests: number;
  readonly alarms: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly workflowRuns: number;
  readonly workflowSteps: number;
  readonly r2ClassA: number;
  readonly r2ClassB: number;
  /** The CPU time of workerd on this machine, which includes its own R2 and Workflows engine. */
  readonly cpuMs: number;
  /** The database of the job's object, or of its instance as Miniflare keeps it; kept as long as the job. */
  readonly stateBytes: number;
  /** How long an object stays in memory while upstream works: upstream's duration, not counted. */
  readonly awakeSeconds: number;
}

/** Dollars for a million jobs, by item. */
export interface Bill {
  readonly requests: number;
  readonly steps: number;
  readonly rows: number;
  readonly waiting: number;
  readonly cpu: number;
  readonly state: number;
  readonly images: number;
  readonly total: number;
}

/** The bill of a million jobs, with state and image kept for a month. */
export function billOf(cost: JobCost): Bill {
  const parts = {
    // A run of an instance is billed as a request to a Worker.
    requests: (cost.workerRequests + cost.workflowRuns) * WORKER_REQUEST + cost.objectRequests * OBJECT_REQUEST,
    steps: cost.workflowSteps * WORKFLOW_STEP,
    rows: cost.rowsWritten * ROW_WRITTEN + cost.rowsRead * ROW_READ,
    waiting: cost.awakeSeconds * OBJECT_GIGABYTES * OBJECT_GIGABYTE_SECOND,
    cpu: cost.cpuMs * WORKER_CPU_MS,
    // A million jobs with N bytes each are N / 1000 gigabytes.
    state: (cost.stateBytes / 1000) * STATE_GIGABYTE_MONTH,
    images: cost.r2ClassA * R2_CLASS_A + cost.r2ClassB * R2_CLASS_B + IMAGES_A_MONTH,
  };
  return { ...parts, total: Object.values(parts).reduce((sum, part) => sum + part, 0) };
}
