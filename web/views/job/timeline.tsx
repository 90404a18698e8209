import type { Attempt, Job } from "../../../schemas/job.ts";
import { Coded } from "../../components/coded.tsx";
import { Icon, type IconName } from "../../components/icon.tsx";
import { useJobLog } from "../../data/job-log.ts";
import { asSentence } from "../../state/sentence.ts";
import { clockWords, dateWords, durationWords } from "../../state/time-words.ts";
import type { AttemptStory } from "../../state/timeline.ts";
import { type TimelineStep, timelineSteps } from "../../state/timeline.ts";
import styles from "./timeline.module.css";

/** The history of the job, in order: the submission, each attempt with upstream's own words, the end. */
export function Timeline({ job }: { readonly job: Job }) {
  const steps = timelineSteps(job, useJobLog(job));
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
        {steps.map((step) => (
          <Step key={`${step.kind} ${step.at}`} step={step} />
        ))}
        {job.finishedAt !== null && <End job={job} finishedAt={job.finishedAt} />}
      </ol>
    </section>
  );
}

function Step({ step }: { readonly step: TimelineStep }) {
  switch (step.kind) {
    case "attempt":
      return <AttemptItem attempt={step.attempt} story={step.story} />;
    case "copying":
      return <PlainItem icon="image" title={step.title} at={step.at} notes={step.notes} />;
    case "retried":
      return <PlainItem icon="again" title="Tried again by hand" at={step.at} notes={[]} />;
  }
}

interface PlainItemProps {
  readonly icon: IconName;
  readonly title: string;
  readonly at: string;
  readonly notes: readonly string[];
}

function PlainItem({ icon, title, at, notes }: PlainItemProps) {
  return (
    <li>
      <Icon name={icon} />
      <div>
        <p>
          <strong>{title}</strong> <time dateTime={at}>{clockWords(Date.parse(at))}</time>
        </p>
        <Notes notes={notes} />
      </div>
    </li>
  );
}

function Notes({ notes }: { readonly notes: readonly string[] }) {
  return notes.map((note) => (
    <p key={note} className={styles.note}>
      <Coded text={note} />
    </p>
  ));
}

function AttemptItem({ attempt, story }: { readonly attempt: Attempt; readonly story: AttemptStory }) {
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
        <Notes notes={story.notes} />
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
        {job.error !== null && <Notes notes={[asSentence(job.error.message)]} />}
        <p className={styles.note}>{durationWords(Math.max(0, tookMs))} in all</p>
      </div>
    </li>
  );
}
