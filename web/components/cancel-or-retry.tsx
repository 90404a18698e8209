import { type KeyboardEvent, type MouseEvent, type ReactNode, useState } from "react";
import type { Job, JobError, JobStatus } from "../../schemas/job.ts";
import { cancelJob, retryJob } from "../data/job-actions.ts";
import { wantsChanges } from "../state/standing.ts";
import { Button, type ButtonLook } from "./button.tsx";
import { passFocusOn } from "./focus.ts";

interface CancelOrRetryProps {
  readonly job: {
    readonly id: string;
    readonly status: JobStatus;
    readonly done: boolean;
    readonly error: JobError | null;
  };
  readonly looks: { readonly cancel: ButtonLook; readonly retry: ButtonLook };
  readonly cancel: ReactNode;
  readonly retry: ReactNode;
  /** Where the visible words do not say which job. */
  readonly about?: string;
  readonly onChange?: (job: Job) => void;
}

/** A key held down presses again and again, and each time what the button says by then. */
function holdOnlyOnce(event: KeyboardEvent): void {
  if (event.repeat) event.preventDefault();
}

/**
 * Calls a job off, or sends a failed or canceled one back into the line. One button for both, so that it keeps the focus of
 * whoever presses it. A succeeded job has neither, nor one that would be refused again as it is.
 */
export function CancelOrRetry({ job, looks, cancel, retry, about, onChange }: CancelOrRetryProps) {
  const [underWay, setUnderWay] = useState<string | null>(null);
  if (job.status === "succeeded" || wantsChanges(job)) return null;
  const [verb, look, words, act] = job.done
    ? (["Try again", looks.retry, retry, retryJob] as const)
    : (["Cancel", looks.cancel, cancel, cancelJob] as const);
  const press = async ({ detail: clicks }: MouseEvent) => {
    // The second half of a double click was meant for what the button said before.
    if (clicks > 1) return;
    setUnderWay(verb);
    const changed = await act(job.id);
    setUnderWay((now) => (now === verb ? null : now));
    if (changed !== null) onChange?.(changed);
  };
  return (
    <Button
      ref={passFocusOn}
      look={look}
      // News of a change may come before the answer to the press that made it: the next press must not wait for that.
      busy={underWay === verb}
      onClick={press}
      onKeyDown={holdOnlyOnce}
      aria-label={about === undefined ? undefined : `${verb}: ${about}`}
    >
      {words}
    </Button>
  );
}
