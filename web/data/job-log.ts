import { useEffect, useRef, useState } from "react";
import type { JobEvent } from "../../schemas/event.ts";
import type { Job } from "../../schemas/job.ts";
import { darkroom } from "./darkroom.ts";

/** Events per page of the log: the most that the API gives at once. */
const PAGE_EVENTS = 100;

/** The most events read of a log: a job that was on hold for days has thousands of the same kind. */
const READ_EVENTS = 300;

/**
 * The newest events of the job's log, in order; more are read whenever the job has a new `seq`. Events that cannot be fetched are
 * left out.
 */
export function useJobLog({ id, seq }: Pick<Job, "id" | "seq">): readonly JobEvent[] {
  const [log, setLog] = useState<readonly JobEvent[]>([]);
  const known = useRef<readonly JobEvent[]>([]);
  useEffect(() => {
    const leaving = new AbortController();
    const readOn = async () => {
      for (;;) {
        const after = Math.max(known.current.at(-1)?.seq ?? 0, seq - READ_EVENTS);
        if (after >= seq) return;
        const { events } = await darkroom.events(id, { after, limit: PAGE_EVENTS, signal: leaving.signal });
        if (events.length === 0 || leaving.signal.aborted) return;
        known.current = [...known.current, ...events];
        setLog(known.current);
      }
    };
    readOn().catch(() => undefined);
    return () => leaving.abort(new DOMException("the log is read anew", "AbortError"));
  }, [id, seq]);
  return log;
}
