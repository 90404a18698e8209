import type { ConnectionState, DarkroomClient, Job } from "@darkroom/client";
import { useCallback, useEffect, useState } from "react";

export interface WatchedJob {
  /** The newest state. Null until the first one arrives. */
  readonly job: Job | null;
  /** How changes arrive now: `live`, or `polling` while sockets fail. The client reconnects by itself. */
  readonly connection: ConnectionState;
  /** Why the job cannot be watched, for example because it was deleted. Null while all is well. */
  readonly error: Error | null;
  /** Puts a failed or canceled job back into the queue and watches it again. */
  retry(): Promise<void>;
  /** Cancels an unfinished job. */
  cancel(): Promise<void>;
}

/**
 * Watches one job until it is done or the component unmounts. Give a component that shows another job another `key`, so that
 * it starts without the state of the job before. `client` must be the same object in each render.
 */
export function useJob(client: DarkroomClient, id: string): WatchedJob {
  const [job, setJob] = useState<Job | null>(null);
  const [connection, setConnection] = useState<ConnectionState>("connecting");
  const [error, setError] = useState<Error | null>(null);
  // A watch ends when its job is done; each retry starts another one.
  const [retries, setRetries] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a retry starts another watch
  useEffect(() => {
    const unmounted = new AbortController();
    const watch = async () => {
      const frames = client.watch(id, { signal: unmounted.signal, onState: setConnection });
      for await (const frame of frames) setJob(frame.job);
    };
    watch().catch((reason: Error) => {
      if (!unmounted.signal.aborted) setError(reason);
    });
    return () => unmounted.abort();
  }, [client, id, retries]);

  const retry = useCallback(async () => {
    setJob(await client.retry(id));
    setRetries((count) => count + 1);
  }, [client, id]);
  const cancel = useCallback(async () => {
    setJob(await client.cancel(id));
  }, [client, id]);

  return { job, connection, error, retry, cancel };
}

/** The steps from submission to image, for a progress bar. */
export const STEPS = ["queued", "generating", "storing", "done"] as const;

/** Which step the job is at, as an index of `STEPS`, and a sentence about it. */
export function progressOf(job: Job): { readonly step: number; readonly text: string } {
  if (job.status === "succeeded") return { step: 3, text: "done" };
  if (job.done) return { step: 3, text: job.error?.message ?? job.status };
  if (job.phase !== null) return { step: STEPS.indexOf(job.phase), text: job.phase };
  return { step: 0, text: job.queue?.detail ?? job.status };
}
