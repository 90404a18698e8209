import type { ReactNode } from "react";
import { Link } from "wouter";
import { paths } from "../../../schemas/paths.ts";
import { PrintSheet } from "../../components/print-sheet.tsx";
import { ProgressLine } from "../../components/progress-line.tsx";
import { renewLinks } from "../../data/job-actions.ts";
import { useJobSides } from "../../data/limits.ts";
import { isOperator } from "../../data/operator.ts";
import { useServerMinute } from "../../data/server-clock.ts";
import { useStore } from "../../data/store.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import { agoWords } from "../../state/time-words.ts";
import { CardActions } from "./card-actions.tsx";
import styles from "./card-frame.module.css";

interface CardFrameProps {
  readonly job: ListedJob;
  /** How far the running attempt is; null while none runs. Its place is kept either way. */
  readonly fraction: number | null;
  /** Where the job stands. */
  readonly children: ReactNode;
}

/** What every card has, in the same places. */
export function CardFrame({ job, fraction, children }: CardFrameProps) {
  return (
    <article className={styles.card} data-job={job.id} data-status={job.status}>
      <PrintSheet job={job} progress={fraction ?? 0} onLost={() => renewLinks(job.id)} />
      <div className={styles.progress}>
        {fraction !== null && <ProgressLine fraction={fraction} label={`Estimated progress of ${job.prompt}`} />}
      </div>
      <h4 className={styles.prompt} dir="auto">
        <Link href={paths.jobPage(job.id)} className={styles.cover} data-heir>
          {job.prompt}
        </Link>
      </h4>
      {children}
      <footer className={styles.foot}>
        <Facts job={job} />
        <CardActions job={job} />
      </footer>
    </article>
  );
}

function Facts({ job }: { readonly job: ListedJob }) {
  const nowMs = useServerMinute();
  const sides = useJobSides(job);
  const everyones = useStore(isOperator);
  return (
    <p className={styles.facts}>
      <span>
        {agoWords(Date.parse(job.createdAt), nowMs)}
        {sides !== null && ` · ${sides.width}×${sides.height}`}
      </span>
      <span>{everyones && job.client !== null ? `${job.client} · ${job.model}` : job.model}</span>
    </p>
  );
}
