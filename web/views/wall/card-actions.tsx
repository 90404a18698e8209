import { useState } from "react";
import { Button } from "../../components/button.tsx";
import { DownloadLink } from "../../components/download-link.tsx";
import { Icon } from "../../components/icon.tsx";
import { cancelJob, retryJob } from "../../data/job-actions.ts";
import { imageFileName } from "../../state/file-name.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import styles from "./card-actions.module.css";

/** What one most likely wants to do with a job without opening it. */
export function CardActions({ job }: { readonly job: ListedJob }) {
  const [busy, setBusy] = useState(false);
  const act = (action: (id: string) => Promise<unknown>) => async () => {
    setBusy(true);
    await action(job.id);
    setBusy(false);
  };
  const images = job.output?.images ?? [];
  const [only] = images;
  return (
    <div className={styles.actions}>
      {!job.done && (
        <Button look="quiet" busy={busy} onClick={act(cancelJob)} aria-label={`Cancel: ${job.prompt}`}>
          Cancel
        </Button>
      )}
      {(job.status === "failed" || job.status === "canceled") && (
        <Button look="quiet" busy={busy} onClick={act(retryJob)} aria-label={`Try again: ${job.prompt}`}>
          <Icon name="again" /> Try again
        </Button>
      )}
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
