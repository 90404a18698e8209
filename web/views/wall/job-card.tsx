import { memo } from "react";
import { StandingLine } from "../../components/standing-line.tsx";
import { useRunProgress } from "../../data/run-progress.ts";
import { useServerNowWhile } from "../../data/server-clock.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import { listedRun } from "../../state/progress.ts";
import { BRIEF_FAILURES, type Standing, standingOf, standingWith } from "../../state/standing.ts";
import { CardFrame } from "./card-frame.tsx";
import { WaitingStanding } from "./waiting-standing.tsx";

/** Its one line of title says what went wrong in brief, so that the hint has room. */
function briefStanding(job: ListedJob, nowMs: number): Standing {
  const standing = standingOf(job, nowMs);
  return job.error === null ? standing : { ...standing, title: BRIEF_FAILURES[job.error.code] };
}

/**
 * One job on the wall: its print, its prompt, where it stands. The whole card leads to the job. It is one card from the line
 * to the image, so that whoever has moved to it by keyboard stays there while the job goes on.
 */
export const JobCard = memo(function JobCard({ job }: { readonly job: ListedJob }) {
  const isRunning = job.status === "running";
  const nowMs = useServerNowWhile(isRunning);
  const progress = useRunProgress(listedRun(job));
  return (
    <CardFrame job={job} fraction={progress?.fraction ?? null}>
      {isRunning || job.done ? (
        <StandingLine standing={standingWith(briefStanding(job, nowMs), progress?.words ?? null)} />
      ) : (
        <WaitingStanding job={job} />
      )}
    </CardFrame>
  );
});
