import type { LedgerCall, LedgerImage } from "../../emulator/ledger.ts";
import type { JobEvent } from "../../schemas/event.ts";
import type { Job } from "../../schemas/job.ts";
import type { PlannedJob } from "./plan.ts";

/** A fetched image with the SHA-256 of its bytes; null when it could not be fetched. */
export interface FetchedImage {
  readonly index: number;
  readonly sha256: string | null;
}

/** The evidence of one job at the end of the run. */
export interface JobEvidence {
  readonly planned: PlannedJob;
  readonly id: string;
  /** When its deletion was answered; null: never deleted. */
  readonly deletedAtMs: number | null;
  /** For a deleted job, which has no log of its own: the attempts that the Worker logged before and after the deletion. */
  readonly logged: { readonly startsBefore: number; readonly startsAfter: number };
  /** The status of `GET /api/jobs/:id`. */
  readonly httpStatus: number;
  readonly job: Job | null;
  readonly events: readonly JobEvent[];
  readonly images: readonly FetchedImage[];
  /** Its status in each of its rows in `GET /api/jobs`; there must be one row, or none when it was deleted. */
  readonly listedAs: readonly string[];
}

/** Upstream's records of one job, found by its prompt. */
export interface UpstreamEvidence {
  readonly submits: readonly LedgerCall[];
  readonly images: readonly LedgerImage[];
}
