import type { Attempt, Job } from "../../../schemas/job.ts";
import { Icon } from "../../components/icon.tsx";
import { attemptStory } from "../../state/attempt-words.ts";
import { clockWords, dateWords, durationWords } from "../../state/time-words.ts";
import styles from "./timeline.module.css";

/** What happened, in order: submitted, each attempt with upstream's own words, the end. */
export function Timeline({ job }: { readonly job: Job }) {
  return (
    <section aria-labelledby="timeline-title">
      <h2 id="timeline-title" className={styles.title}>
        What happened
      </h2>
      <ol className={styles.timeline}>
        <li data-tone="waiting">
          <Icon name="waiting" />
          <div>
            <p>
              <strong>Submitted</strong> <time dateTime={job.createdAt}>{clockWords(Date.parse(job.createdAt))}</time>
            </p>
            <p className={styles.note}>{dateWords(Date.parse(job.createdAt))}</p>
          </div>
        </li>
        {job.attempts.map((attempt) => (
          <AttemptItem key={attempt.number} attempt={attempt} />
        ))}
        {job.finishedAt !== null && <End job={job} finishedAt={job.finishedAt} />}
      </ol>
    </section>
  );
}

function AttemptItem({ attempt }: { readonly attempt: Attempt }) {
  const story = attemptStory(attempt);
  const { upstream } = attempt;
  const said = [
    upstream.httpStatus === null ? null : `HTTP ${upstream.httpStatus}`,
    upstream.code,
    upstream.message,
  ].filter((part) => part !== null);
  return (
    <li data-tone={story.tone}>
      <Icon name={story.tone} />
      <div>
        <p>
          <strong>{`Attempt ${attempt.number}`}</strong>{" "}
          <time dateTime={attempt.startedAt}>{clockWords(Date.parse(attempt.startedAt))}</time>
        </p>
        <p className={styles.outcome}>{story.title}</p>
        {said.length > 0 && <p className={styles.said}>{said.join(" · ")}</p>}
        {upstream.requestId !== null && <p className={styles.id}>request {upstream.requestId}</p>}
        {upstream.taskId !== null && <p className={styles.id}>task {upstream.taskId}</p>}
        {story.notes.map((note) => (
          <p key={note} className={styles.note}>
            {note}
          </p>
        ))}
        {attempt.retryAt !== null && attempt.outcome !== null && (
          <p className={styles.note}>Tried again from {clockWords(Date.parse(attempt.retryAt))}.</p>
        )}
      </div>
    </li>
  );
}

function End({ job, finishedAt }: { readonly job: Job; readonly finishedAt: string }) {
  const tookMs = Date.parse(finishedAt) - Date.parse(job.createdAt);
  const words = { succeeded: "Images kept", failed: "Failed", canceled: "Canceled" };
  const tones = { succeeded: "ready", failed: "failed", canceled: "canceled" } as const;
  if (job.status !== "succeeded" && job.status !== "failed" && job.status !== "canceled") return null;
  return (
    <li data-tone={tones[job.status]}>
      <Icon name={tones[job.status]} />
      <div>
        <p>
          <strong>{words[job.status]}</strong> <time dateTime={finishedAt}>{clockWords(Date.parse(finishedAt))}</time>
        </p>
        <p className={styles.note}>{durationWords(Math.max(0, tookMs))} in all</p>
      </div>
    </li>
  );
}
