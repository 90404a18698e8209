import { type PointerEvent, useRef, useState } from "react";
import type { Job, OutputImage } from "../../../schemas/job.ts";
import { paths } from "../../../schemas/paths.ts";
import { Icon } from "../../components/icon.tsx";
import { Print } from "../../components/print.tsx";
import { StoredImage } from "../../components/stored-image.tsx";
import { useJobSides } from "../../data/limits.ts";
import { useRunProgress } from "../../data/run-progress.ts";
import { listedFromJob, shapeOf } from "../../state/listed-job.ts";
import { jobRun } from "../../state/progress.ts";
import { toneOf } from "../../state/standing.ts";
import { openViewer } from "../viewer-host.tsx";
import styles from "./job-images.module.css";

interface JobImagesProps {
  readonly job: Job;
  /** Which image is shown large, from 0. */
  readonly chosen: number;
  readonly onChoose: (place: number) => void;
  readonly onStep: (direction: 1 | -1) => void;
}

/** A finger that moves this far sideways, in pixels, opens the next job. */
const SWIPE_PX = 60;

/** The job's print, large; with several, a strip to choose from. A swipe opens the next job. */
export function JobImages({ job, chosen, onChoose, onStep }: JobImagesProps) {
  const [busy, setBusy] = useState(false);
  const images = job.output?.images ?? [];
  const place = images[chosen] === undefined ? 0 : chosen;
  const image = images[place] ?? null;
  const shape = shapeOf(useJobSides(listedFromJob(job)));
  const start = useRef<{ readonly x: number; readonly y: number } | null>(null);
  const hasSwiped = useRef(false);
  const enlarge = async () => {
    if (busy || hasSwiped.current) return;
    setBusy(true);
    await openViewer(job.id, place);
    setBusy(false);
  };
  return (
    <div className={styles.images}>
      <div
        className={styles.table}
        data-empty={(job.done && image === null) || undefined}
        onPointerDown={({ pointerType, clientX, clientY }: PointerEvent) => {
          hasSwiped.current = false;
          start.current = pointerType === "touch" ? { x: clientX, y: clientY } : null;
        }}
        onPointerUp={({ clientX, clientY }: PointerEvent) => {
          if (start.current === null) return;
          const [across, along] = [clientX - start.current.x, clientY - start.current.y];
          start.current = null;
          if (Math.abs(across) < SWIPE_PX || Math.abs(across) < 2 * Math.abs(along)) return;
          hasSwiped.current = true;
          onStep(across < 0 ? 1 : -1);
        }}
        onPointerCancel={() => {
          start.current = null;
        }}
      >
        {/* biome-ignore lint/a11y: a mouse may press the whole print; the keyboard has the button in its corner. */}
        <div
          className={styles.place}
          onClick={image === null ? undefined : enlarge}
          data-enlarges={image !== null || undefined}
          style={{ "--shape": image ? image.width / image.height : shape }}
        >
          <BigPrint job={job} image={image} shape={shape} />
          {image !== null && (
            <button
              type="button"
              className={styles.enlarge}
              aria-busy={busy || undefined}
              aria-label="Enlarge the image"
              title="Enlarge the image"
              data-enlarge
            >
              <Icon name="zoom" />
            </button>
          )}
        </div>
      </div>
      {images.length > 1 && (
        <Strip jobId={job.id} images={images} chosen={image} prompt={job.request.prompt} onChoose={onChoose} />
      )}
    </div>
  );
}

interface BigPrintProps {
  readonly job: Job;
  readonly image: OutputImage | null;
  /** The shape while there is no image. */
  readonly shape: number;
}

function BigPrint({ job, image, shape }: BigPrintProps) {
  const progress = useRunProgress(jobRun(job));
  return (
    <Print
      jobId={job.id}
      place={image?.index ?? 0}
      tone={toneOf(job)}
      shape={image === null ? shape : image.width / image.height}
      progress={progress?.fraction ?? 0}
      image={image}
      alt={job.request.prompt}
      sizes="(max-width: 60rem) 92vw, 60vw"
      eager
    />
  );
}

interface StripProps {
  readonly jobId: string;
  readonly images: readonly OutputImage[];
  readonly chosen: OutputImage | null;
  readonly prompt: string;
  readonly onChoose: (place: number) => void;
}

function Strip({ jobId, images, chosen, prompt, onChoose }: StripProps) {
  return (
    <ul className={styles.strip} aria-label="Images of this job">
      {images.map((image, place) => (
        <li key={image.index}>
          <button
            type="button"
            aria-pressed={image.index === chosen?.index}
            aria-label={`Image ${place + 1} of ${images.length}: ${prompt}`}
            onClick={() => onChoose(place)}
          >
            <StoredImage address={paths.jobImage(jobId, image.index)} image={image} sizes="10rem" />
          </button>
        </li>
      ))}
    </ul>
  );
}
