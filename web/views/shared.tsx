import { useEffect, useState } from "react";
import type { Job } from "../../schemas/job.ts";
import { paths } from "../../schemas/paths.ts";
import { ButtonLink } from "../components/button.tsx";
import { useArrival } from "../components/focus.ts";
import { Icon, Mark } from "../components/icon.tsx";
import { StandingLine } from "../components/standing-line.tsx";
import { StoredImage } from "../components/stored-image.tsx";
import { useServerNow } from "../data/server-clock.ts";
import { GONE, OVER, readShared, type SharedJob, UNREACHABLE } from "../data/shared-job.ts";
import { listedFromJob } from "../state/listed-job.ts";
import { standingOf } from "../state/standing.ts";
import { dateWords } from "../state/time-words.ts";
import { JobFacts } from "./job/job-facts.tsx";
import { PromptText } from "./job/prompt-text.tsx";
import message from "./message.module.css";
import styles from "./shared.module.css";

/** Between two reads of a job that is not done, and after a read that failed. */
const AGAIN_MS = 5_000;

/** A job as its share link shows it: people can look at it and save its images, nothing else. */
export default function Shared() {
  const shown = useSharedJob();
  switch (shown.kind) {
    case "loading":
      return null;
    case "none":
      return <None title={shown.title} text={shown.text} />;
    case "here":
      return <Here job={shown.job} />;
  }
}

function useSharedJob(): SharedJob {
  const [shown, setShown] = useState<SharedJob>({ kind: "loading" });
  useEffect(() => {
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    // The link's own query opens the job.
    const address = `${paths.job(location.pathname.slice(paths.sharedPage("").length))}${location.search}`;
    const look = async () => {
      const next = await readShared(address, leaving.signal);
      if (leaving.signal.aborted) return;
      // The last state stays while the server cannot be reached.
      setShown((now) => (next === UNREACHABLE && now.kind === "here" ? now : next));
      const isOver = next === OVER || next === GONE || (next.kind === "here" && next.job.done);
      if (!isOver) timer = setTimeout(look, AGAIN_MS);
    };
    void look();
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, []);
  return shown;
}

function None({ title, text }: { readonly title: string; readonly text: string }) {
  const heading = useArrival(title);
  return (
    <main className={styles.page}>
      <div className={message.message}>
        <h1 tabIndex={-1} ref={heading}>
          {title}
        </h1>
        <p>{text}</p>
      </div>
    </main>
  );
}

function Here({ job }: { readonly job: Job }) {
  const heading = useArrival(job.request.prompt.slice(0, 60));
  const images = job.output?.images ?? [];
  const end = Number(new URLSearchParams(location.search).get("end") ?? Number.NaN) * 1000;
  return (
    <main className={styles.page}>
      <header className={styles.head}>
        <p className={styles.name}>
          <Mark /> Darkroom
        </p>
        <p className={styles.until}>Shared with you to look at{Number.isNaN(end) ? "" : `, until ${dateWords(end)}`}</p>
      </header>
      <h1 tabIndex={-1} ref={heading} className="unseen">
        {job.request.prompt.slice(0, 60)}
      </h1>
      <div className={styles.images}>
        {images.map((image) => (
          <figure key={image.index}>
            <StoredImage
              image={image}
              address={image.url}
              alt={job.request.prompt}
              sizes="(max-width: 60rem) 92vw, 60rem"
              eager
            />
            <figcaption>
              <ButtonLink href={image.url} download="">
                <Icon name="download" /> Download
              </ButtonLink>
            </figcaption>
          </figure>
        ))}
      </div>
      <PromptText text={job.request.prompt} />
      {!job.done && <Standing job={job} />}
      <JobFacts job={job} byLink />
    </main>
  );
}

function Standing({ job }: { readonly job: Job }) {
  return <StandingLine standing={standingOf(listedFromJob(job), useServerNow())} />;
}
