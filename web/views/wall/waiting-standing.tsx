import { StandingLine } from "../../components/standing-line.tsx";
import { useLaneBlock } from "../../data/limits.ts";
import { useServerNow } from "../../data/server-clock.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import { standingOf } from "../../state/standing.ts";

/** Where an unfinished job stands, counting down. */
export function WaitingStanding({ job }: { readonly job: ListedJob }) {
  return <StandingLine standing={standingOf(job, useServerNow(), useLaneBlock(job.model))} />;
}
