import type { JobEvent } from "../../../schemas/event.ts";
import type { Attempt, Job, UpstreamReport } from "../../../schemas/job.ts";
import { clockText, durationText, inertText, textRow } from "./terminal-text.ts";

const OUTCOME: Readonly<Record<NonNullable<Attempt["outcome"]>, string>> = {
  succeeded: "delivered",
  succeeded_late: "delivered late, after its budget",
  failed: "failed",
  throttled: "was throttled",
  blocked: "was refused: the lane is blocked",
  timed_out: "ran out of its budget",
  interrupted: "was interrupted",
  canceled: "was called off",
};

/** Upstream's own message and code, and the ids that its support asks for. */
function upstreamRows({ httpStatus, code, message, requestId, taskId }: UpstreamReport): string[] {
  const said = [httpStatus === null ? null : `HTTP ${httpStatus}`, code, message === null ? null : `“${message}”`];
  const ids = [requestId === null ? null : `request ${requestId}`, taskId === null ? null : `task ${taskId}`];
  const words = [said.filter((word) => word !== null).join(" "), ...ids].filter((text) => text !== null && text !== "");
  return words.length === 0 ? [] : [textRow("", `upstream: ${inertText(words.join(", "))}`)];
}

/** How an attempt ended: `(after 45 s, not counted, may be billed)`. */
function factsOf({ durationMs, outcome, counted, mayBeBilled }: JobEvent["data"]): string {
  const delivered = outcome === "succeeded" || outcome === "succeeded_late";
  const facts = [
    durationMs === undefined ? null : `after ${durationText(durationMs)}`,
    counted === false ? "not counted" : null,
    mayBeBilled === true && !delivered ? "may be billed" : null,
    mayBeBilled === false && outcome === "failed" ? "not billed" : null,
  ].filter((fact) => fact !== null);
  return facts.length === 0 ? "" : ` (${facts.join(", ")})`;
}

const imagesText = (count: number | undefined): string => (count === 1 ? "1 image" : `${count ?? "the"} images`);

function sentence(event: JobEvent, day: string): string[] {
  const { attempt, outcome, upstream, retryAt, images, error, reason } = event.data;
  const because = reason === undefined ? "" : `: ${inertText(reason)}`;
  const next = retryAt === undefined ? "" : clockText(retryAt, day);
  const at = (text: string) => textRow(clockText(event.at, day), text);
  const under = (text: string | undefined) => (text === undefined ? [] : [textRow("", inertText(text))]);
  switch (event.type) {
    case "job.queued":
      return [at(event.seq === 1 ? "submitted" : `in line again${because}`)];
    case "attempt.started":
      return [at(`attempt ${attempt} started${because}`)];
    case "attempt.finished": {
      const became = outcome === undefined ? "ended" : OUTCOME[outcome];
      const own = upstream === undefined ? [] : upstreamRows(upstream);
      return [at(`attempt ${attempt} ${became}${factsOf(event.data)}`), ...own, ...under(reason)];
    }
    case "attempt.late": {
      const delivered = outcome === "succeeded_late";
      const became = delivered ? OUTCOME.succeeded_late : "is closed, after its budget";
      const own = upstream === undefined ? [] : upstreamRows(upstream);
      return [at(`attempt ${attempt} ${became}${factsOf(event.data)}`), ...own, ...under(reason)];
    }
    case "job.retrying":
      return [at(`waits until ${next} before the next try${because}`)];
    case "job.storing":
      if (retryAt !== undefined) return [at(`${imagesText(images)} not copied, again at ${next}${because}`)];
      return [at(`copying ${imagesText(images)}${because}`)];
    case "job.succeeded":
      return [at("succeeded")];
    case "job.failed":
      return [at(error === undefined ? "failed" : `failed, ${error.code}: ${inertText(error.message)}`)];
    case "job.canceled":
      return [at("canceled")];
    case "job.retried":
      return [at("retried by hand: attempts and deadline start again")];
    default:
      throw new Error(`no such event: ${JSON.stringify(event.type satisfies never)}`);
  }
}

/**
 * All that happened, read from the log, so that the runs before a retry are shown too. `events` are the newest, in order;
 * when the first of them is not the job's first, a row says how many are left out.
 */
export function historyRows(job: Job, events: readonly JobEvent[], day: string, nowMs: number): string[] {
  const skipped = (events[0]?.seq ?? 1) - 1;
  const rows: string[] = [];
  if (skipped > 0) {
    rows.push(textRow(clockText(job.createdAt, day), "submitted"));
    rows.push(textRow("…", `${skipped - 1} earlier events, see the command “log”`));
  }
  for (const event of events) rows.push(...sentence(event, day));
  for (const attempt of job.attempts) {
    if (attempt.outcome === null) {
      const ranFor = durationText(nowMs - Date.parse(attempt.startedAt));
      rows.push(
        textRow("now", `attempt ${attempt.number} has been running for ${ranFor}`),
        ...upstreamRows(attempt.upstream),
      );
    } else if (attempt.stillOpen) {
      rows.push(
        textRow("now", `the call of attempt ${attempt.number} is still open: should its answer come, it is taken`),
      );
    }
  }
  return rows;
}
