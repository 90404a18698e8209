import { useJobSides } from "../data/limits.ts";
import type { Density } from "../data/wall.ts";
import { type ListedJob, shapeOf } from "../state/listed-job.ts";
import { sheetColumns } from "../state/print-look.ts";
import { toneOf } from "../state/standing.ts";
import { Print } from "./print.tsx";
import styles from "./print-sheet.module.css";

/** How wide a card's picture is: on a phone, and on a wider window. */
const WIDTHS: Readonly<Record<Density, readonly [phone: string, wide: string]>> = {
  cards: ["92vw", "18rem"],
  small: ["46vw", "13rem"],
  bare: ["31vw", "10rem"],
};

/** How wide each print is, as a `sizes` attribute: several prints share the card's width. */
function sizesOf(density: Density, columns: number): string {
  const [phone, wide] = WIDTHS[density].map((width) => (columns === 1 ? width : `calc(${width} / ${columns})`));
  return `(max-width: 40rem) ${phone}, ${wide}`;
}

interface PrintSheetProps {
  readonly job: ListedJob;
  readonly progress: number;
  readonly density: Density;
}

/** All prints of a job on a mat of a fixed size, finished or not. */
export function PrintSheet({ job, progress, density }: PrintSheetProps) {
  const shape = shapeOf(useJobSides(job));
  const images = job.output?.images ?? [];
  const count = Math.max(images.length, job.output === null ? job.n : 1);
  const places = Array.from({ length: count }, (_, index) => images[index] ?? null);
  const columns = sheetColumns(count, shape);
  return (
    <div className={styles.mat}>
      <div className={styles.sheet} style={{ "--columns": columns }}>
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
              sizes={sizesOf(density, columns)}
            />
          </div>
        ))}
      </div>
    </div>
  );
}
