import { PrintSheet } from "../../components/print-sheet.tsx";
import { ProgressLine } from "../../components/progress-line.tsx";
import { StandingLine } from "../../components/standing-line.tsx";
import { renewLinks } from "../../data/job-actions.ts";
import { useServerNow } from "../../data/server-clock.ts";
import { progressOf } from "../../data/shown-progress.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import { listedRunStartMs } from "../../state/running-attempt.ts";
import { standingOf } from "../../state/standing.ts";

/** A job that is developing: the latent image comes out as the estimate goes on. */
export function RunningCard({ job }: { readonly job: ListedJob }) {
  const nowMs = useServerNow();
  const { fraction, words } = progressOf(
    {
      jobId: job.id,
      model: job.model,
      attempt: job.attempts,
      startedAtMs: listedRunStartMs(job),
      storing: job.phase === "storing",
    },
    nowMs,
  );
  const standing = standingOf(job, nowMs);
  const detail = standing.detail === null ? words : `${standing.detail}, ${words}`;
  return (
    <>
      <PrintSheet job={job} progress={fraction} onLost={() => renewLinks(job.id)} />
      <ProgressLine fraction={fraction} label="Estimated progress" />
      <StandingLine standing={{ ...standing, detail }} />
    </>
  );
}
