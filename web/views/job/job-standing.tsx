import type { Job } from "../../../schemas/job.ts";
import { Coded } from "../../components/coded.tsx";
import { ProgressLine, StandingLine } from "../../components/standing-line.tsx";
import { useLaneBlock } from "../../data/limits.ts";
import { useRunProgress } from "../../data/run-progress.ts";
import { useServerNow } from "../../data/server-clock.ts";
import { listedFromJob } from "../../state/listed-job.ts";
import { jobRun } from "../../state/progress.ts";
import { standingOf, standingWith, waitReason } from "../../state/standing.ts";
import styles from "./job-standing.module.css";

/** The state of the job, large and with all that is known: why it waits, what to do about a failure. */
export function JobStanding({ job }: { readonly job: Job }) {
  const progress = useRunProgress(jobRun(job));
  const nowMs = useServerNow();
  const block = useLaneBlock(job.model);
  const standing = standingWith(standingOf(listedFromJob(job), nowMs, block), progress?.words ?? null);
  const reason = waitReason(job);
  const saidBelow = standing.tone === "failed" || standing.tone === "blocked";
  return (
    <div className={styles.standing} data-tone={standing.tone} tabIndex={-1} data-heir>
      <StandingLine standing={{ ...standing, detail: saidBelow ? null : standing.detail }} />
      {progress !== null && <ProgressLine fraction={progress.fraction} label="Estimated progress" />}
      {saidBelow && standing.detail !== null && (
        <p className={styles.hint}>
          <Coded text={standing.detail} />
        </p>
      )}
      {standing.tone === "waiting" && reason !== null && <p className={styles.hint}>{reason}</p>}
      {job.error !== null && <ErrorCodes error={job.error} />}
    </div>
  );
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
