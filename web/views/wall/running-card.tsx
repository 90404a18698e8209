import { StandingLine } from "../../components/standing-line.tsx";
import { useServerNow } from "../../data/server-clock.ts";
import { progressOf } from "../../data/shown-progress.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import { listedRunStartMs } from "../../state/running-attempt.ts";
import { standingOf } from "../../state/standing.ts";
import { CardFrame } from "./card-frame.tsx";

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
    <CardFrame job={job} fraction={fraction}>
      <StandingLine standing={{ ...standing, detail }} />
    </CardFrame>
  );
}
