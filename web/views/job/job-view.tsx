import { useEffect, useEffectEvent, useState } from "react";
import { Link, useLocation } from "wouter";
import type { Job } from "../../../schemas/job.ts";
import { paths } from "../../../schemas/paths.ts";
import { Button } from "../../components/button.tsx";
import { markPlace, useArrival } from "../../components/focus.ts";
import { Icon } from "../../components/icon.tsx";
import { useLimits } from "../../data/limits.ts";
import { watchedState } from "../../data/live-feed.ts";
import { type Neighbour, useNeighbours } from "../../data/neighbours.ts";
import { lastWallPlace, lookAt } from "../../data/wall.ts";
import { useWatchedJob } from "../../data/watched-job.ts";
import { failureWords } from "../../state/failure-words.ts";
import { keyed } from "../../state/keyed.ts";
import message from "../message.module.css";
import { JobActions } from "./job-actions.tsx";
import { JobFacts } from "./job-facts.tsx";
import { JobImages } from "./job-images.tsx";
import { JobStanding } from "./job-standing.tsx";
import styles from "./job-view.module.css";
import { PromptText } from "./prompt-text.tsx";
import { RawJson } from "./raw-json.tsx";
import { Timeline } from "./timeline.tsx";
import { Webhook } from "./webhook.tsx";

/** One job at its own address. */
export default function JobView({ id }: { readonly id: string }) {
  const { watched, take } = useWatchedJob(id);
  // Estimates of a running job use the durations that its lane has observed.
  useLimits();
  useEffect(() => {
    lookAt(id);
    window.scrollTo(0, 0);
  }, [id]);
  const connection = watched.kind === "here" ? watched.connection : "live";
  useEffect(() => {
    watchedState.set(connection);
    return () => watchedState.set("live");
  }, [connection]);

  switch (watched.kind) {
    case "loading":
      return <Loading id={id} />;
    case "missing":
      return <Missing id={id} gone={watched.gone} />;
    case "failed":
      return <Failed id={id} error={watched.error} />;
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
  const [chosen, setChosen] = useState(0);
  const steps = useSteps(job.id);
  return (
    <article className={styles.job}>
      <Way steps={steps} />
      <div className={styles.picture}>
        <JobImages job={job} chosen={chosen} onChoose={setChosen} onStep={steps.go} />
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
        <JobActions job={job} chosen={chosen} onChange={onChange} />
        {job.warnings.length > 0 && (
          <ul className={styles.warnings} aria-label="Warnings">
            {keyed(job.warnings, ({ message }) => message).map(({ key, item }) => (
              <li key={key}>{item.message}</li>
            ))}
          </ul>
        )}
        <Timeline job={job} />
        <Webhook job={job} />
      </div>
      <div className={styles.below}>
        <JobFacts job={job} />
        <RawJson job={job} />
      </div>
    </article>
  );
}

interface Steps {
  readonly before: Neighbour;
  readonly after: Neighbour;
  readonly go: (direction: 1 | -1) => Promise<void>;
}

/** Steps to the jobs beside this one on the wall, by button, by swipe, and by the arrow keys. */
function useSteps(id: string): Steps {
  const [, navigate] = useLocation();
  const { before, after } = useNeighbours(id);
  const go = async (direction: 1 | -1) => {
    const isStillHere = markPlace();
    const next = await (direction === 1 ? after : before).find();
    // Replaces this job's entry in the history, so that Back leads to the wall.
    if (next !== null && isStillHere()) navigate(paths.jobPage(next), { replace: true });
  };
  const onKey = useEffectEvent((event: KeyboardEvent) => {
    const isElsewhere = (event.target as Element).closest?.(
      "input, textarea, select, pre, [role=dialog], [role=alertdialog]",
    );
    if (event.defaultPrevented || isElsewhere || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowRight") void go(1);
    else if (event.key === "ArrowLeft") void go(-1);
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent) => onKey(event);
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
  return { before, after, go };
}

/** Links back to the wall, where it was left, and to the jobs beside this one. */
function Way({ steps }: { readonly steps: Steps }) {
  const { before, after, go } = steps;
  return (
    <nav className={styles.way} aria-label="Jobs">
      <Link href={`/${lastWallPlace().search}`}>
        <Icon name="back" /> All prints
      </Link>
      <span className={styles.steps}>
        <Button look="quiet" idle={!before.exists} onClick={() => go(-1)} title="Newer job, ←">
          <Icon name="back" /> Newer
        </Button>
        <Button look="quiet" idle={!after.exists} onClick={() => go(1)} title="Older job, →">
          Older <Icon name="forth" />
        </Button>
      </span>
    </nav>
  );
}

function Loading({ id }: { readonly id: string }) {
  return (
    <div className={styles.job} role="status">
      <Way steps={useSteps(id)} />
      <span className="unseen">Loading the job</span>
      <div className={styles.ghost} />
    </div>
  );
}

function Missing({ id, gone }: { readonly id: string; readonly gone: boolean }) {
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
      <Way steps={useSteps(id)} />
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

function Failed({ id, error }: { readonly id: string; readonly error: unknown }) {
  const heading = useArrival("Job");
  const { title, detail } = failureWords(error);
  return (
    <div className={message.message} role="alert">
      <h1 tabIndex={-1} ref={heading}>
        {title}
      </h1>
      <p>{detail}</p>
      <Button onClick={() => location.reload()}>Load again</Button>
      <Way steps={useSteps(id)} />
    </div>
  );
}
