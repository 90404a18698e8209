import type { JobCost } from "./rows/counts.ts";

/*
 * Cloudflare's prices on the paid plan beyond what is included, in dollars per million of each (or as said), as its pages
 * on the pricing of Durable Objects, Workers, R2 and Workflows had them in November 2026.
 */
const WORKER_REQUEST = 0.3;
const WORKER_CPU_MS = 0.02;
const OBJECT_REQUEST = 0.15;
const OBJECT_GIGABYTE_SECOND = 12.5;
/** An object is billed for so much while it is awake, however little it uses. */
const OBJECT_GIGABYTES = 0.128;
const ROW_READ = 0.001;
const ROW_WRITTEN = 1;
const R2_CLASS_A = 4.5;
const R2_CLASS_B = 0.36;
const R2_GIGABYTE_MONTH = 0.015;
/** 0.80 for each hundred thousand. */
const WORKFLOW_STEP = 8;

/** What is the same for whoever keeps the image: 1.5 MB for a month, for a million jobs. */
const IMAGES_A_MONTH = 1500 * R2_GIGABYTE_MONTH;

/** Dollars for a million jobs, by what they are for. */
export interface Bill {
  readonly requests: number;
  readonly rows: number;
  readonly waiting: number;
  readonly cpu: number;
  readonly images: number;
  readonly total: number;
}

function billOf(parts: Omit<Bill, "total">): Bill {
  return { ...parts, total: Object.values(parts).reduce((sum, part) => sum + part, 0) };
}

/** A million jobs of Darkroom, each awake for `waitSeconds` while upstream works. */
export function darkroomBill(cost: JobCost, waitSeconds: number): Bill {
  return billOf({
    requests: cost.workerRequests * WORKER_REQUEST + cost.objectRequests * OBJECT_REQUEST,
    rows: cost.rowsWritten * ROW_WRITTEN + cost.rowsRead * ROW_READ,
    waiting: waitSeconds * OBJECT_GIGABYTES * OBJECT_GIGABYTE_SECOND,
    cpu: cost.cpuMs * WORKER_CPU_MS,
    images: cost.r2ClassA * R2_CLASS_A + cost.r2ClassB * R2_CLASS_B + IMAGES_A_MONTH,
  });
}

/**
 * A million jobs of the Workflow peer: two steps each, its status polled `polls` times. A waiting step is not billed for
 * time; its CPU is taken to be that of Darkroom's job, in its disfavour by little.
 */
export function workflowBill(polls: number, cpuMs: number): Bill {
  // Submit, the run of the instance, the image.
  const requests = 3 + polls;
  return billOf({
    requests: requests * WORKER_REQUEST,
    rows: 2 * WORKFLOW_STEP,
    waiting: 0,
    cpu: cpuMs * WORKER_CPU_MS,
    images: R2_CLASS_A + R2_CLASS_B + IMAGES_A_MONTH,
  });
}
