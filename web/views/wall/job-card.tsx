import { memo } from "react";
import { StandingLine } from "../../components/standing-line.tsx";
import { useServerNowWhile } from "../../data/server-clock.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import { standingOf } from "../../state/standing.ts";
import { CardFrame } from "./card-frame.tsx";
import { runningStanding } from "./running-standing.ts";
import { WaitingStanding } from "./waiting-standing.tsx";

/**
 * One job on the wall: its print, its prompt, where it stands. The whole card leads to the job. It is one card from the line
 * to the image, so that whoever has moved to it by keyboard stays there while the job goes on.
 */
export const JobCard = memo(function JobCard({ job }: { readonly job: ListedJob }) {
  const isRunning = job.status === "running";
  const nowMs = useServerNowWhile(isRunning);
  const running = isRunning ? runningStanding(job, nowMs) : null;
  return (
    <CardFrame job={job} fraction={running?.fraction ?? null}>
      {running !== null || job.done ? (
        <StandingLine standing={running?.standing ?? standingOf(job, 0)} />
      ) : (
        <WaitingStanding job={job} />
      )}
    </CardFrame>
  );
});
