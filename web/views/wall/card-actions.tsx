import { CancelOrRetry } from "../../components/cancel-or-retry.tsx";
import { DownloadLink } from "../../components/download-link.tsx";
import { Icon } from "../../components/icon.tsx";
import { imageFileName } from "../../state/file-name.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import styles from "./card-actions.module.css";

/** What one most likely wants to do with a job without opening it. */
export function CardActions({ job }: { readonly job: ListedJob }) {
  const images = job.output?.images ?? [];
  const [only] = images;
  return (
    <div className={styles.actions}>
      <CancelOrRetry
        job={job}
        looks={{ cancel: "quiet", retry: "quiet" }}
        cancel="Cancel"
        retry={
          <>
            <Icon name="again" /> Try again
          </>
        }
        about={job.prompt}
      />
      {only !== undefined && images.length === 1 && (
        <DownloadLink
          look="quiet"
          url={only.url}
          fileName={imageFileName({ id: job.id, prompt: job.prompt, count: 1 }, only)}
          label={`Download: ${job.prompt}`}
        >
          <Icon name="download" />
        </DownloadLink>
      )}
    </div>
  );
}
