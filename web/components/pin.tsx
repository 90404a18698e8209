import { type ReactNode, useState } from "react";
import type { Job } from "../../schemas/job.ts";
import { pinJob } from "../data/job-actions.ts";
import { serverNowMs } from "../data/server-clock.ts";
import { endsUnpinned, type ListedJob } from "../state/listed-job.ts";
import { useLateDialog } from "./late-dialog.ts";

const loadQuestion = () => import("./confirm-dialog.tsx");

interface Pin {
  readonly verb: "Pin" | "Unpin";
  readonly busy: boolean;
  readonly press: () => Promise<void>;
  /** The question, which is drawn beside the button. */
  readonly question: ReactNode;
}

/** Pins a job or unpins it, after a question where that would remove the job. */
export function usePin(
  job: Pick<ListedJob, "id" | "pinned" | "expiresAt">,
  onChange: (job: Job) => void = () => undefined,
): Pin {
  const question = useLateDialog(loadQuestion);
  const [busy, setBusy] = useState(false);
  const turn = async () => {
    if (busy) return;
    setBusy(true);
    const changed = await pinJob(job.id, !job.pinned);
    setBusy(false);
    question.setOpen(false);
    if (changed !== null) onChange(changed);
  };
  return {
    verb: job.pinned ? "Unpin" : "Pin",
    busy: busy || question.busy,
    press: () => (endsUnpinned(job, serverNowMs()) ? question.ask() : turn()),
    question: question.Dialog !== null && (
      <question.Dialog
        open={question.open}
        onOpenChange={question.setOpen}
        title="Unpin and delete this job?"
        verb="Unpin and delete"
        busy={busy}
        onConfirm={turn}
      >
        Its time is up and only the pin keeps it: unpinned, the job and its images are removed at once.
      </question.Dialog>
    ),
  };
}
