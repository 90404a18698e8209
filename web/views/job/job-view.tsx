import { useEffect } from "react";
import { Link } from "wouter";
import type { Job } from "../../../schemas/job.ts";
import { useArrival } from "../../components/arrival.ts";
import { Button } from "../../components/button.tsx";
import { Icon } from "../../components/icon.tsx";
import { useLimits } from "../../data/limits.ts";
import { watchedState } from "../../data/live-feed.ts";
import { useWatchedJob } from "../../data/watched-job.ts";
import { failureWords } from "../../state/failure-words.ts";
import { withLocalTimes } from "../../state/sentence.ts";
import message from "../message.module.css";
import { JobActions } from "./job-actions.tsx";
import { JobFacts } from "./job-facts.tsx";
import { JobImages } from "./job-images.tsx";
import { JobStanding } from "./job-standing.tsx";
import styles from "./job-view.module.css";
import { PromptText } from "./prompt-text.tsx";
import { RawJson } from "./raw-json.tsx";
import { Timeline } from "./timeline.tsx";

/** One job at its own address. */
export function JobView({ id }: { readonly id: string }) {
  const { watched, take } = useWatchedJob(id);
  // Estimates of a running job rest on what its lane has observed.
  useLimits();
  const connection = watched.kind === "here" ? watched.connection : "live";
  useEffect(() => {
    watchedState.set(connection);
    return () => watchedState.set("live");
  }, [connection]);

  switch (watched.kind) {
    case "loading":
      return <Loading />;
    case "missing":
      return <Missing gone={watched.gone} />;
    case "failed":
      return <Failed error={watched.error} />;
    case "here":
      return <Here job={watched.job} endedBy={watched.endedBy} onChange={take} />;
  }
}

interface HereProps {
  readonly job: Job;
  readonly endedBy: unknown;
  readonly onChange: (job: Job) => void;
}

function Here({ job, endedBy, onChange }: HereProps) {
  const heading = useArrival(job.request.prompt.slice(0, 60));
  return (
    <article className={styles.job}>
      <BackLink />
      <div className={styles.picture}>
        <JobImages job={job} onChange={onChange} />
      </div>
      <div className={styles.side}>
        <header className={styles.head}>
          <h1 tabIndex={-1} ref={heading} className="unseen">
            {`Job: ${job.request.prompt.slice(0, 60)}`}
          </h1>
          <PromptText text={job.request.prompt} />
          <JobStanding job={job} />
          {endedBy !== null && <Ended error={endedBy} />}
        </header>
        <JobActions job={job} onChange={onChange} />
        {job.warnings.length > 0 && (
          <ul className={styles.warnings} aria-label="Warnings">
            {job.warnings.map((warning) => (
              <li key={`${warning.code} ${warning.message}`}>{withLocalTimes(warning.message, Date.now())}</li>
            ))}
          </ul>
        )}
        <Timeline job={job} />
      </div>
      <div className={styles.below}>
        <JobFacts job={job} />
        <RawJson job={job} />
      </div>
    </article>
  );
}

function BackLink() {
  return (
    <p className={styles.back}>
      <Link href="/">
        <Icon name="back" /> All prints
      </Link>
    </p>
  );
}

function Loading() {
  return (
    <div className={styles.job} role="status">
      <BackLink />
      <span className="unseen">Loading the job</span>
      <div className={styles.ghost} />
    </div>
  );
}

function Missing({ gone }: { readonly gone: boolean }) {
  const heading = useArrival(gone ? "Deleted" : "No such job");
  return (
    <div className={message.message}>
      <h1 tabIndex={-1} ref={heading}>
        {gone ? "This job is gone" : "No such job"}
      </h1>
      <p>
        {gone
          ? "It was deleted, or its time was up: jobs and their images are kept for a while after they finish."
          : "There is no job at this address, or it belongs to another client."}
      </p>
      <BackLink />
    </div>
  );
}

function Ended({ error }: { readonly error: unknown }) {
  const { title, detail } = failureWords(error);
  return (
    <div className={styles.ended} role="alert">
      <p>
        <strong>This page follows the job no longer.</strong> {`${title}: ${detail}`}
      </p>
      <Button onClick={() => location.reload()}>Load again</Button>
    </div>
  );
}

function Failed({ error }: { readonly error: unknown }) {
  const heading = useArrival("Job");
  const { title, detail } = failureWords(error);
  return (
    <div className={message.message} role="alert">
      <h1 tabIndex={-1} ref={heading}>
        {title}
      </h1>
      <p>{detail}</p>
      <Button onClick={() => location.reload()}>Load again</Button>
      <BackLink />
    </div>
  );
}
