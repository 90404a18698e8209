import { useState } from "react";
import type { OutputImage } from "../../schemas/job.ts";
import { paths } from "../../schemas/paths.ts";
import { latentOf } from "../state/print-look.ts";
import type { Tone } from "../state/standing.ts";
import { Icon } from "./icon.tsx";
import styles from "./print.module.css";
import { StoredImage } from "./stored-image.tsx";

interface PrintProps {
  readonly jobId: string;
  /** Which of the job's images it is, from 0; it also decides how the print is drawn before its image is made. */
  readonly place: number;
  readonly tone: Tone;
  /** Width over height. */
  readonly shape: number;
  /** In [0, 1]: how much of the latent image is shown while there is no image. */
  readonly progress: number;
  readonly image: OutputImage | null;
  readonly alt: string;
  /** How wide it is drawn, as a `sizes` attribute. */
  readonly sizes: string;
  readonly eager?: boolean;
}

/**
 * One print in its true shape, from blank paper to the finished image; nothing around it moves meanwhile. It is as large as its
 * size container allows.
 */
export function Print({ jobId, place, tone, shape, progress, image, alt, sizes, eager = false }: PrintProps) {
  const [developed, setDeveloped] = useState<string | null>(null);
  const [failed, setFailed] = useState(false);
  const [a, b, c, d] = latentOf(`${jobId}${place}`);
  return (
    <div
      className={styles.print}
      data-tone={tone}
      data-finished={image !== null || undefined}
      style={{ "--shape": shape, "--progress": progress, "--a": a, "--b": b, "--c": c, "--d": d }}
    >
      <div className={styles.latent} aria-hidden="true" />
      {image === null && (tone === "failed" || tone === "canceled") && (
        <div className={styles.none}>
          <Icon name={tone} />
        </div>
      )}
      {image !== null && failed && (
        <div className={styles.none} title="The image could not be loaded yet. It is asked for again.">
          <Icon name="image" />
        </div>
      )}
      {image !== null && (
        <StoredImage
          key={image.sha256}
          address={paths.jobImage(jobId, image.index)}
          image={image}
          className={styles.image}
          data-developed={developed === image.sha256 || undefined}
          alt={alt}
          sizes={sizes}
          eager={eager}
          onSettled={(state) => {
            setFailed(state === "failed");
            if (state === "loaded") setDeveloped(image.sha256);
          }}
        />
      )}
    </div>
  );
}
