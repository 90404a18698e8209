import { lazy, Suspense, useState } from "react";
import type { Job } from "../../../schemas/job.ts";
import { Button } from "../../components/button.tsx";
import { Icon } from "../../components/icon.tsx";
import { deleteJob } from "../../data/job-actions.ts";

/** Loaded when it is first asked for. */
const ConfirmDialog = lazy(() => import("../../components/confirm-dialog.tsx"));

interface DeleteJobProps {
  readonly job: Job;
  readonly onDeleted: () => void;
}

/** Deletes after a question: it cannot be undone. */
export function DeleteJob({ job, onDeleted }: DeleteJobProps) {
  const [open, setOpen] = useState(false);
  const [opened, setOpened] = useState(false);
  const [busy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    const deleted = await deleteJob(job.id);
    setBusy(false);
    setOpen(false);
    if (deleted) onDeleted();
  };
  return (
    <>
      <Button
        look="danger"
        onClick={() => {
          setOpened(true);
          setOpen(true);
        }}
      >
        <Icon name="trash" /> Delete
      </Button>
      {opened && (
        <Suspense>
          <ConfirmDialog
            open={open}
            onOpenChange={setOpen}
            title="Delete this job?"
            verb="Delete"
            busy={busy}
            onConfirm={confirm}
          >
            {job.done
              ? "The job and its images are removed for everyone. This cannot be undone."
              : "The job is canceled and removed. What upstream has begun may still be charged."}
          </ConfirmDialog>
        </Suspense>
      )}
    </>
  );
}
