import { useState } from "react";
import type { Job } from "../../../schemas/job.ts";
import { Button } from "../../components/button.tsx";
import { Icon } from "../../components/icon.tsx";
import { useLateDialog } from "../../components/late-dialog.ts";
import { deleteJob } from "../../data/job-actions.ts";

const loadQuestion = () => import("../../components/confirm-dialog.tsx");

interface DeleteJobProps {
  readonly job: Job;
  readonly onDeleted: () => void;
}

/** Deletes after a question: it cannot be undone. */
export function DeleteJob({ job, onDeleted }: DeleteJobProps) {
  const question = useLateDialog(loadQuestion);
  const [busy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    const deleted = await deleteJob(job.id);
    setBusy(false);
    question.setOpen(false);
    if (deleted) onDeleted();
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
