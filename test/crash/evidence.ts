import type { LedgerCall, LedgerImage } from "../../emulator/ledger.ts";
import type { JobEvent } from "../../schemas/event.ts";
import type { Job } from "../../schemas/job.ts";
import type { PlannedJob } from "./plan.ts";

/** A fetched image: what its bytes hash to; null when it could not be fetched. */
export interface FetchedImage {
  readonly index: number;
  readonly sha256: string | null;
}

/** What is known of one job when all is over. */
export interface JobEvidence {
  readonly planned: PlannedJob;
  readonly id: string;
  /** When its deletion was answered; null: never deleted. */
  readonly deletedAtMs: number | null;
  /** Of a deleted job, whose own log is gone: the attempts that the Worker logged before it logged the deletion, and after it. */
  readonly logged: { readonly startsBefore: number; readonly startsAfter: number };
  /** What `GET /api/jobs/:id` says. */
  readonly httpStatus: number;
  readonly job: Job | null;
  readonly events: readonly JobEvent[];
  readonly images: readonly FetchedImage[];
  /** Its status in each of its rows in `GET /api/jobs`; one row is right, none when it was deleted. */
  readonly listedAs: readonly string[];
}

/** What upstream knows of one job, found by its prompt. */
export interface UpstreamEvidence {
  readonly submits: readonly LedgerCall[];
  readonly images: readonly LedgerImage[];
}
