import { useJobSides } from "../data/limits.ts";
import { type ListedJob, shapeOf } from "../state/listed-job.ts";
import { sheetColumns } from "../state/print-look.ts";
import { toneOf } from "../state/standing.ts";
import { Print } from "./print.tsx";
import styles from "./print-sheet.module.css";

/** A card is some 17 rem wide on a wide window, and as wide as the window on a phone. */
const CARD_SIZES = "(max-width: 40rem) 92vw, 18rem";

interface PrintSheetProps {
  readonly job: ListedJob;
  readonly progress: number;
}

/** All prints of a job on a mat of a fixed size, finished or not. */
export function PrintSheet({ job, progress }: PrintSheetProps) {
  const shape = shapeOf(useJobSides(job));
  const images = job.output?.images ?? [];
  const count = Math.max(images.length, job.output === null ? job.n : 1);
  const places = Array.from({ length: count }, (_, index) => images[index] ?? null);
  return (
    <div className={styles.mat}>
      <div className={styles.sheet} style={{ "--columns": sheetColumns(count, shape) }}>
        {places.map((image, index) => (
          <div key={image?.index ?? `blank-${index}`} className={styles.place} data-place={index}>
            <Print
              jobId={job.id}
              place={index}
              tone={toneOf(job)}
              shape={image === null ? shape : image.width / image.height}
              progress={progress}
              image={image}
              alt=""
              sizes={CARD_SIZES}
            />
          </div>
        ))}
      </div>
    </div>
  );
}
