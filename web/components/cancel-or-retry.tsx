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
  /** Names the job for screen readers, where the visible words do not. */
  readonly about?: string;
  readonly onChange?: (job: Job) => void;
}

/** A key that is held down would press repeatedly, and each time with the button's current meaning. */
function holdOnlyOnce(event: KeyboardEvent): void {
  if (event.repeat) event.preventDefault();
}

/**
 * Cancels a job, or sends a failed or canceled one back into the line. One button for both, so that it keeps its focus after a
 * press. Nothing for a succeeded job, and for one whose unchanged request would be refused again.
 */
export function CancelOrRetry({ job, looks, cancel, retry, about, onChange }: CancelOrRetryProps) {
  const [underWay, setUnderWay] = useState<string | null>(null);
  if (job.status === "succeeded" || wantsChanges(job)) return null;
  const [verb, look, words, act] = job.done
    ? (["Try again", looks.retry, retry, retryJob] as const)
    : (["Cancel", looks.cancel, cancel, cancelJob] as const);
  const press = async ({ detail: clicks }: MouseEvent) => {
    // The second click of a double click was meant for the button's previous action.
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
      // The feed may show the change before the press is answered; the next press must not wait for that answer.
      busy={underWay === verb}
      onClick={press}
      onKeyDown={holdOnlyOnce}
      aria-label={about === undefined ? undefined : `${verb}: ${about}`}
    >
      {words}
    </Button>
  );
}
