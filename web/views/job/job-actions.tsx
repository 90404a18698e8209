import { useLocation } from "wouter";
import type { Job } from "../../../schemas/job.ts";
import { paths } from "../../../schemas/paths.ts";
import { Button } from "../../components/button.tsx";
import { CancelOrRetry } from "../../components/cancel-or-retry.tsx";
import { CopyButton } from "../../components/copy-button.tsx";
import { DownloadLink } from "../../components/download-link.tsx";
import { Icon } from "../../components/icon.tsx";
import { composeAgain } from "../../data/job-actions.ts";
import { imageFileName } from "../../state/file-name.ts";
import { wantsChanges } from "../../state/standing.ts";
import { DeleteJob } from "./delete-job.tsx";
import styles from "./job-actions.module.css";

interface JobActionsProps {
  readonly job: Job;
  readonly onChange: (job: Job) => void;
}

/** All that can be done with a job in its present state. */
export function JobActions({ job, onChange }: JobActionsProps) {
  const [, navigate] = useLocation();
  const again = async () => {
    await composeAgain(job);
    navigate("/");
    requestAnimationFrame(() => document.getElementById("prompt")?.focus());
  };
  return (
    <div className={styles.actions}>
      <Downloads job={job} />
      <CancelOrRetry
        job={job}
        looks={{ cancel: "plain", retry: wantsChanges(job) ? "plain" : "main" }}
        cancel={
          <>
            <Icon name="close" /> Cancel
          </>
        }
        retry={
          <>
            <Icon name="again" /> Try again
          </>
        }
        onChange={onChange}
      />
      <Button look={wantsChanges(job) ? "main" : "plain"} onClick={again}>
        <Icon name="edit" /> Again with changes
      </Button>
      <CopyButton
        icon="link"
        label="Copy link"
        text={new URL(paths.jobPage(job.id), location.origin).href}
        done="Link copied"
      />
      <DeleteJob job={job} onDeleted={() => navigate("/", { replace: true })} />
    </div>
  );
}

function Downloads({ job }: { readonly job: Job }) {
  const images = job.output?.images ?? [];
  return images.map((image, index) => (
    <DownloadLink
      key={image.index}
      look={index === 0 ? "main" : "plain"}
      url={image.url}
      fileName={imageFileName({ id: job.id, prompt: job.request.prompt, count: images.length }, image)}
    >
      <Icon name="download" /> {images.length === 1 ? "Download" : `Download ${index + 1}`}
    </DownloadLink>
  ));
}
