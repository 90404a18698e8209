import { useState } from "react";
import type { Job, OutputImage } from "../../../schemas/job.ts";
import { Icon } from "../../components/icon.tsx";
import { useLateDialog } from "../../components/late-dialog.ts";
import { Print } from "../../components/print.tsx";
import { darkroom } from "../../data/darkroom.ts";
import { useJobSides } from "../../data/limits.ts";
import { useRunProgress } from "../../data/run-progress.ts";
import { listedFromJob, shapeOf } from "../../state/listed-job.ts";
import { jobRun } from "../../state/progress.ts";
import { toneOf } from "../../state/standing.ts";
import styles from "./job-images.module.css";

const loadViewer = () => import("../../components/viewer.tsx");

interface JobImagesProps {
  readonly job: Job;
  readonly onChange: (job: Job) => void;
}

/** The job's print, large; with several, a strip to choose from. */
export function JobImages({ job, onChange }: JobImagesProps) {
  const [chosen, setChosen] = useState(0);
  const viewer = useLateDialog(loadViewer);
  const images = job.output?.images ?? [];
  const image = images[chosen] ?? images[0] ?? null;
  const shape = shapeOf(useJobSides(listedFromJob(job)));
  const renew = () => void darkroom.get(job.id).then(onChange, () => undefined);
  return (
    <div className={styles.images}>
      <div className={styles.table} data-empty={(job.done && image === null) || undefined}>
        <div className={styles.place} style={{ "--shape": image ? image.width / image.height : shape }}>
          <BigPrint job={job} image={image} shape={shape} onLost={renew} />
          {image !== null && (
            <button type="button" className={styles.enlarge} onClick={viewer.ask}>
              <Icon name="zoom" />
              <span className="unseen">Enlarge the image</span>
            </button>
          )}
        </div>
      </div>
      {images.length > 1 && <Strip images={images} chosen={image} prompt={job.request.prompt} onChoose={setChosen} />}
      {viewer.Dialog !== null && image !== null && (
        <viewer.Dialog image={image} alt={job.request.prompt} open={viewer.open} onOpenChange={viewer.setOpen} />
      )}
    </div>
  );
}

interface BigPrintProps {
  readonly job: Job;
  readonly image: OutputImage | null;
  /** While there is no image. */
  readonly shape: number;
  readonly onLost: () => void;
}

function BigPrint({ job, image, shape, onLost }: BigPrintProps) {
  const progress = useRunProgress(jobRun(job));
  return (
    <Print
      jobId={`${job.id}${image?.index ?? 0}`}
      tone={toneOf(job)}
      shape={image === null ? shape : image.width / image.height}
      progress={progress?.fraction ?? 0}
      image={image}
      alt={job.request.prompt}
      onLost={onLost}
      eager
    />
  );
}

interface StripProps {
  readonly images: readonly OutputImage[];
  readonly chosen: OutputImage | null;
  readonly prompt: string;
  readonly onChoose: (place: number) => void;
}

function Strip({ images, chosen, prompt, onChoose }: StripProps) {
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
            <img src={image.url} alt="" loading="lazy" width={image.width} height={image.height} />
          </button>
        </li>
      ))}
    </ul>
  );
}
