import { useEffect, useState } from "react";
import type { Job } from "../../schemas/job.ts";
import type { Delivery } from "../../schemas/webhook.ts";
import { darkroom } from "./darkroom.ts";
import { notifyFailure } from "./job-actions.ts";

/** Between two reads while a delivery is pending, in ms. The next try may be a day ahead, so reading much more often is useless. */
const LOOK_AGAIN_MS = 10_000;
/** Between two reads while a try runs, in ms. A try usually ends within this time. */
const SOON_MS = 1_000;

interface Deliveries {
  readonly known: readonly Delivery[];
  readonly resend: (number: number) => Promise<void>;
}

/**
 * The deliveries of the job's webhook, read when the job has ended, and again while one is pending. When they cannot be read, none
 * are shown.
 */
export function useDeliveries({ id, seq, done }: Pick<Job, "id" | "seq" | "done">): Deliveries {
  const [known, setKnown] = useState<readonly Delivery[]>([]);
  const [asked, setAsked] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new event and a resend are reasons to read again.
  useEffect(() => {
    if (!done) return;
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      const { deliveries } = await darkroom.deliveries(id, { signal: leaving.signal });
      if (leaving.signal.aborted) return;
      setKnown(deliveries);
      const pending = deliveries.filter(({ state }) => state === "pending");
      if (pending.length === 0) return;
      // A delivery that waits for an earlier event of the job has no next try either, so `nextTryAt` does not show that a try runs.
      const isTrying = pending.some(({ tries }) => {
        const last = tries.at(-1);
        return last !== undefined && last.finishedAt === null && last.error === null;
      });
      timer = setTimeout(() => void look().catch(() => undefined), isTrying ? SOON_MS : LOOK_AGAIN_MS);
    };
    look().catch(() => undefined);
    return () => {
      clearTimeout(timer);
      leaving.abort(new DOMException("the deliveries are read anew", "AbortError"));
    };
  }, [id, seq, done, asked]);
  const resend = async (number: number) => {
    try {
      await darkroom.resend(id, number);
      setAsked((count) => count + 1);
    } catch (error) {
      await notifyFailure(error);
    }
  };
  return { known, resend };
}
