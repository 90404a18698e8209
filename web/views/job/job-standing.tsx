import type { Job } from "../../../schemas/job.ts";
import { ProgressLine } from "../../components/progress-line.tsx";
import { StandingLine } from "../../components/standing-line.tsx";
import { useServerNow } from "../../data/server-clock.ts";
import { progressOf } from "../../data/shown-progress.ts";
import { listedFromJob } from "../../state/listed-job.ts";
import { runStartMs } from "../../state/running-attempt.ts";
import { standingOf } from "../../state/standing.ts";
import styles from "./job-standing.module.css";

/** Where the job stands, larger and with everything that is known: the lane's own sentence, the hint of a failure. */
export function JobStanding({ job }: { readonly job: Job }) {
  const nowMs = useServerNow();
  const standing = standingOf(listedFromJob(job), nowMs);
  const progress = useProgress(job, nowMs);
  const detail = progress === null ? standing.detail : joined(standing.detail, progress.words);
  const saidBelow = standing.tone === "failed" || standing.tone === "blocked";
  return (
    <div className={styles.standing} data-tone={standing.tone} tabIndex={-1} data-heir>
      <StandingLine standing={{ ...standing, detail: saidBelow ? null : detail }} />
      {progress !== null && <ProgressLine fraction={progress.fraction} label="Estimated progress" />}
      {saidBelow && detail !== null && <p className={styles.hint}>{detail}</p>}
      {standing.tone === "waiting" && job.queue !== null && <p className={styles.hint}>{job.queue.detail}</p>}
      {job.error !== null && <ErrorCodes error={job.error} />}
    </div>
  );
}

/** The estimate of a running job; null for any other. */
export function useProgress(job: Job, nowMs: number) {
  if (job.status !== "running") return null;
  return progressOf(
    {
      jobId: job.id,
      model: job.model,
      attempt: job.attempts.length,
      startedAtMs: runStartMs(job),
      storing: job.phase === "storing",
    },
    nowMs,
  );
}

function joined(detail: string | null, words: string): string {
  return detail === null ? words : `${detail}, ${words}`;
}

function ErrorCodes({ error }: { readonly error: NonNullable<Job["error"]> }) {
  const { upstream } = error;
  return (
    <p className={styles.codes}>
      <code>{error.code}</code>
      {upstream?.code && <code>{upstream.code}</code>}
      {upstream?.requestId && <code>{upstream.requestId}</code>}
    </p>
  );
}
