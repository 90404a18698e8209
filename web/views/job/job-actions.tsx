import { type ReactNode, useState } from "react";
import { useLocation } from "wouter";
import type { Job } from "../../../schemas/job.ts";
import { Button } from "../../components/button.tsx";
import { CancelOrRetry } from "../../components/cancel-or-retry.tsx";
import { DownloadLink } from "../../components/download-link.tsx";
import { markPlace } from "../../components/focus.ts";
import { Icon, type IconName } from "../../components/icon.tsx";
import { useLateDialog } from "../../components/late-dialog.ts";
import { usePin } from "../../components/pin.tsx";
import { saveZip } from "../../data/bulk.ts";
import { addAsReference, deleteJob, submitAgain } from "../../data/job-actions.ts";
import { lastWallPlace } from "../../data/wall.ts";
import { listedFromJob } from "../../state/listed-job.ts";
import { wantsChanges } from "../../state/standing.ts";
import { changeAgain, focusPrompt } from "../wall/job-card.tsx";
import { CopyLink } from "./copy-link.tsx";
import styles from "./job-actions.module.css";

interface JobActionsProps {
  readonly job: Job;
  /** Which image is shown large, from 0. */
  readonly chosen: number;
  readonly onChange: (job: Job) => void;
}

/** All actions on a job in its present state. */
export function JobActions({ job, chosen, onChange }: JobActionsProps) {
  const [, navigate] = useLocation();
  const images = job.output?.images ?? [];
  const image = images[chosen] ?? images[0];
  const which = images.length > 1 ? ` ${images.findIndex(({ index }) => index === image?.index) + 1}` : "";
  const pin = usePin(job, onChange);
  const wall = `/${lastWallPlace().search}`;
  const change = () => changeAgain(job.id, navigate);
  const refer = async () => {
    if (image === undefined) return;
    const isStillHere = markPlace();
    await addAsReference({ id: job.id, prompt: job.request.prompt }, image);
    if (isStillHere()) focusPrompt(navigate);
  };
  return (
    <div className={styles.actions}>
      {image !== undefined && (
        <DownloadLink jobId={job.id} index={image.index} look="main">
          <Icon name="download" /> Download{which}
        </DownloadLink>
      )}
      {images.length > 1 && (
        <Press icon="download" onPress={() => saveZip([listedFromJob(job)])}>
          All {images.length} as zip
        </Press>
      )}
      <CancelOrRetry
        job={job}
        looks={{ cancel: "plain", retry: "main" }}
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
      {image !== undefined && (
        <Press icon="image" onPress={refer}>
          Use{which} as reference
        </Press>
      )}
      <Press icon="edit" main={wantsChanges(job)} onPress={change}>
        Again with changes
      </Press>
      {job.done && !wantsChanges(job) && (
        <Press icon="repeat" onPress={() => submitAgain(job.id)}>
          Again
        </Press>
      )}
      <Button busy={pin.busy} onClick={pin.press}>
        <Icon name="pin" /> {pin.verb}
      </Button>
      {pin.question}
      <CopyLink job={job} />
      <DeleteJob job={job} onDeleted={() => navigate(wall, { replace: true })} />
    </div>
  );
}

interface PressProps {
  readonly icon: IconName;
  readonly main?: boolean;
  readonly onPress: () => Promise<void>;
  readonly children: ReactNode;
}

/** A button that is busy until its action has ended. */
function Press({ icon, main = false, onPress, children }: PressProps) {
  const [busy, setBusy] = useState(false);
  const press = async () => {
    setBusy(true);
    await onPress();
    setBusy(false);
  };
  return (
    <Button look={main ? "main" : "plain"} busy={busy} onClick={press}>
      <Icon name={icon} /> {children}
    </Button>
  );
}

const loadQuestion = () => import("../../components/confirm-dialog.tsx");

interface DeleteJobProps {
  readonly job: Job;
  readonly onDeleted: () => void;
}

/** Deletes the job after a question, because that cannot be undone. */
function DeleteJob({ job, onDeleted }: DeleteJobProps) {
  const question = useLateDialog(loadQuestion);
  const [busy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    const isStillHere = markPlace();
    const deleted = await deleteJob(job.id);
    setBusy(false);
    question.setOpen(false);
    if (deleted && isStillHere()) onDeleted();
  };
  return (
    <>
      <Button look="danger" busy={question.busy} onClick={question.ask}>
        <Icon name="trash" /> Delete
      </Button>
      {question.Dialog !== null && (
        <question.Dialog
          open={question.open}
          onOpenChange={question.setOpen}
          title="Delete this job?"
          verb="Delete"
          busy={busy}
          onConfirm={confirm}
        >
          {job.done
            ? "The job and its images are removed for everyone. This cannot be undone."
            : "The job is canceled and removed. What upstream has begun may still be charged."}
        </question.Dialog>
      )}
    </>
  );
}
