import { memo } from "react";
import { Link } from "wouter";
import { paths } from "../../../schemas/paths.ts";
import { PrintSheet } from "../../components/print-sheet.tsx";
import { StandingLine } from "../../components/standing-line.tsx";
import { renewLinks } from "../../data/job-actions.ts";
import { useServerMinute } from "../../data/server-clock.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import { shownSize } from "../../state/sizes.ts";
import { standingOf } from "../../state/standing.ts";
import { agoWords } from "../../state/time-words.ts";
import { CardActions } from "./card-actions.tsx";
import styles from "./job-card.module.css";
import { RunningCard } from "./running-card.tsx";
import { WaitingStanding } from "./waiting-standing.tsx";

/** One job on the wall: its print, its prompt, where it stands. The whole card leads to the job. */
export const JobCard = memo(function JobCard({ job }: { readonly job: ListedJob }) {
  return (
    <article className={styles.card} data-job={job.id}>
      {job.status === "running" ? (
        <RunningCard job={job} />
      ) : (
        <PrintSheet job={job} progress={0} onLost={() => renewLinks(job.id)} />
      )}
      <h3 className={styles.prompt}>
        <Link href={paths.jobPage(job.id)} className={styles.cover}>
          {job.prompt}
        </Link>
      </h3>
      {job.status !== "running" && <CardStanding job={job} />}
      <footer className={styles.foot}>
        <Facts job={job} />
        <CardActions job={job} />
      </footer>
    </article>
  );
});

/** Only what counts down is drawn again every second. */
function CardStanding({ job }: { readonly job: ListedJob }) {
  if (!job.done) return <WaitingStanding job={job} />;
  return <StandingLine standing={standingOf(job, 0)} />;
}

function Facts({ job }: { readonly job: ListedJob }) {
  const nowMs = useServerMinute();
  return (
    <p className={styles.facts}>
      <span>{agoWords(Date.parse(job.createdAt), nowMs)}</span>
      {job.size !== null && <span>{shownSize(job.size)}</span>}
      <span>{job.model}</span>
    </p>
  );
}
