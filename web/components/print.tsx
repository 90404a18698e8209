import { useState } from "react";
import type { OutputImage } from "../../schemas/job.ts";
import { latentOf } from "../state/print-look.ts";
import type { Tone } from "../state/standing.ts";
import { Icon } from "./icon.tsx";
import styles from "./print.module.css";
import { useStableUrl } from "./stable-url.ts";

interface PrintProps {
  readonly jobId: string;
  readonly tone: Tone;
  /** Width over height. */
  readonly shape: number;
  /** In [0, 1]: how much of the latent image shows while there is no other. */
  readonly progress: number;
  readonly image: OutputImage | null;
  readonly alt: string;
  /** The link of the image no longer opens: ask for a fresh one. */
  readonly onLost?: () => void;
  readonly eager?: boolean;
}

/**
 * One print in its true shape, from blank paper to the finished image; nothing around it moves meanwhile. It takes the size
 * that its surroundings (a size container) leave it.
 */
export function Print({ jobId, tone, shape, progress, image, alt, onLost, eager = false }: PrintProps) {
  const [developed, setDeveloped] = useState<string | null>(null);
  const { url, failed } = useStableUrl(image, onLost);
  const [a, b, c, d] = latentOf(jobId);
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
      {image !== null && (
        <img
          key={image.sha256}
          className={styles.image}
          data-developed={developed === image.sha256 || undefined}
          src={url}
          alt={alt}
          width={image.width}
          height={image.height}
          loading={eager ? "eager" : "lazy"}
          decoding="async"
          draggable={false}
          onLoad={() => setDeveloped(image.sha256)}
          onError={failed}
        />
      )}
    </div>
  );
}
