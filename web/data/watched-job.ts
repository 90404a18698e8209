import { useEffect, useState } from "react";
import { DarkroomProblem, isTransient } from "../../client/errors.ts";
import type { ConnectionState } from "../../client/follow.ts";
import type { Job } from "../../schemas/job.ts";
import { isMisconfigured, isSignedOut } from "../state/failure-words.ts";
import { isShutOut } from "./access.ts";
import { darkroom } from "./darkroom.ts";
import { pauseUntil, untilLinkCheck } from "./link-check.ts";
import { forgetJob, jobList, learnJob } from "./live-jobs.ts";

/** The state of one job on its page. */
export type WatchedJob =
  | { readonly kind: "loading" }
  | { readonly kind: "missing"; readonly gone: boolean }
  | { readonly kind: "failed"; readonly error: unknown }
  | {
      readonly kind: "here";
      readonly job: Job;
      readonly connection: ConnectionState;
      /** The error that ended following the job, where waiting does not help; null while the job is followed. */
      readonly endedBy: unknown;
    };

/** Follows one job until the view is left. Once the job is done, the feed shows whether it was retried. */
export function useWatchedJob(id: string): { watched: WatchedJob; take: (job: Job) => void } {
  const [watched, setWatched] = useState<WatchedJob>({ kind: "loading" });

  useEffect(() => {
    const leaving = new AbortController();
    setWatched({ kind: "loading" });
    void followJob(id, leaving.signal, setWatched);
    return () => leaving.abort(new DOMException("the view was left", "AbortError"));
  }, [id]);

  const take = (job: Job) => {
    learnJob(job);
    setWatched((now) => hereWith(job, now));
  };
  return { watched, take };
}

/** The newest known state of the job: answers and frames may come late, and the highest `seq` wins. */
function hereWith(job: Job, before: WatchedJob): WatchedJob {
  if (before.kind !== "here") return { kind: "here", job, connection: "live", endedBy: null };
  return before.job.seq > job.seq ? before : { ...before, job };
}

type Tell = (change: (before: WatchedJob) => WatchedJob) => void;

/** The wait after a failure that may pass, before the job is read again. */
const AGAIN_MS = 3_000;

async function followJob(id: string, signal: AbortSignal, tell: Tell): Promise<void> {
  while (!signal.aborted) {
    const checked = untilLinkCheck();
    const until = AbortSignal.any([signal, checked]);
    try {
      await followOnce(id, until, tell);
    } catch (error) {
      if (signal.aborted) return;
      if (checked.aborted) {
        tell((before) => (before.kind === "here" ? { ...before, connection: "reconnecting" } : before));
        continue;
      }
      if (await isShutOut(error)) return;
      if (error instanceof DarkroomProblem && (error.status === 404 || error.status === 410)) {
        if (error.status === 410) forgetJob(id);
        tell(() => ({ kind: "missing", gone: error.status === 410 }));
        return;
      }
      // A job that is shown stays, and the lamp shows that it may be outdated; an empty view shows the failure.
      const ended = !isTransient(error) && !isSignedOut(error) && !isMisconfigured(error);
      const change = ended
        ? ({ connection: "closed", endedBy: error } as const)
        : ({ connection: "reconnecting" } as const);
      tell((before) => (before.kind === "here" ? { ...before, ...change } : { kind: "failed", error }));
      if (ended) return;
      await pauseUntil(AGAIN_MS, until);
    }
  }
}

/** Follows the job until it is done, and then until the feed has a newer state of it. */
async function followOnce(id: string, signal: AbortSignal, tell: Tell): Promise<void> {
  const onState = (connection: ConnectionState) => {
    if (connection === "closed") return;
    tell((before) => (before.kind === "here" ? { ...before, connection } : before));
  };
  let job = await darkroom.get(id, { signal });
  const show = (next: Job) => {
    job = next;
    learnJob(next);
    tell((before) => hereWith(next, before));
  };
  show(job);
  if (!job.done) {
    for await (const frame of darkroom.watch(job, { signal, onState })) show(frame.job);
  }
  tell((before) => (before.kind === "here" ? { ...before, connection: "live" } : before));
  await changeOf(job, signal);
}

/** Resolves once the feed has another state of the job, or that it was deleted; rejects with the signal's reason. */
function changeOf({ id, seq, pinned }: Job, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const check = () => {
      const { jobs, gone } = jobList.get();
      const known = jobs.get(id);
      // A pin does not change `seq`.
      const isSame = known === undefined || known.seq < seq || (known.seq === seq && known.pinned === pinned);
      if (isSame && !gone.has(id)) return;
      unsubscribe();
      resolve();
    };
    const unsubscribe = jobList.subscribe(check);
    signal.addEventListener("abort", () => {
      unsubscribe();
      reject(signal.reason);
    });
    check();
  });
}
