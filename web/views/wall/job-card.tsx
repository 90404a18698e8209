import { memo } from "react";
import { StandingLine } from "../../components/standing-line.tsx";
import type { ListedJob } from "../../state/listed-job.ts";
import { standingOf } from "../../state/standing.ts";
import { CardFrame } from "./card-frame.tsx";
import { RunningCard } from "./running-card.tsx";
import { WaitingStanding } from "./waiting-standing.tsx";

/** One job on the wall: its print, its prompt, where it stands. The whole card leads to the job. */
export const JobCard = memo(function JobCard({ job }: { readonly job: ListedJob }) {
  if (job.status === "running") return <RunningCard job={job} />;
  return (
    <CardFrame job={job} fraction={null}>
      {job.done ? <StandingLine standing={standingOf(job, 0)} /> : <WaitingStanding job={job} />}
    </CardFrame>
  );
});
