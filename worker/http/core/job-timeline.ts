import type { Attempt, Job } from "../../../schemas/job.ts";
import { inertText, quotedLines, shellQuoted } from "./inert-text.ts";
import { bytesText, clockText, durationText, fromNowText, ordinalText } from "./time-text.ts";

/** The width of the left column, in which times and words stand. */
const COLUMN = 12;

function row(left: string, right: string): string {
  return `  ${left.padEnd(COLUMN)}${right}`.trimEnd();
}

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

/** Upstream's own words, its code and the id that its support asks for. */
function upstreamRows({ upstream }: Attempt): string[] {
  const { httpStatus, code, message, requestId, taskId } = upstream;
  const said = [httpStatus === null ? null : `HTTP ${httpStatus}`, code, message === null ? null : `“${message}”`];
  const ids = [requestId === null ? null : `request ${requestId}`, taskId === null ? null : `task ${taskId}`];
  const words = [said.filter((word) => word !== null).join(" "), ...ids].filter((text) => text !== null && text !== "");
  return words.length === 0 ? [] : [row("", `upstream: ${inertText(words.join(", "))}`)];
}

function attemptRows(attempt: Attempt, day: string, nowMs: number): string[] {
  const { number, startedAt, finishedAt, durationMs, outcome, counted, mayBeBilled, stillOpen, retryAt } = attempt;
  const rows = [row(clockText(startedAt, day), `attempt ${number} started`)];
  if (outcome === null || finishedAt === null) {
    rows.push(row("now", `attempt ${number} has been running for ${durationText(nowMs - Date.parse(startedAt))}`));
  } else {
    const facts = [
      `after ${durationText(durationMs ?? 0)}`,
      ...(counted ? [] : ["not counted"]),
      ...(mayBeBilled && !outcome.startsWith("succeeded") ? ["may be billed"] : []),
    ];
    rows.push(row(clockText(finishedAt, day), `attempt ${number} ${OUTCOME[outcome]} (${facts.join(", ")})`));
  }
  rows.push(...upstreamRows(attempt));
  if (stillOpen) rows.push(row("", "its call is still open: should the answer come, it is taken"));
  if (retryAt !== null) rows.push(row("", `next try ${clockText(retryAt, day)}`));
  return rows;
}

function timelineRows(job: Job, day: string, nowMs: number): string[] {
  const rows = [row(clockText(job.createdAt, day), "submitted")];
  for (const attempt of job.attempts) rows.push(...attemptRows(attempt, day, nowMs));
  if (job.finishedAt !== null) rows.push(row(clockText(job.finishedAt, day), job.status));
  return rows;
}

/** What happens next, and when. */
function nextRows(job: Job, day: string, nowMs: number): string[] {
  const { queue, request } = job;
  const used = job.attempts.filter((attempt) => attempt.counted).length;
  const deadline = row("gives up", `${clockText(job.deadlineAt, day)} (${fromNowText(job.deadlineAt, nowMs)})`);
  const spent = row("attempts", `${used} of ${request.maxAttempts} used`);
  switch (job.status) {
    case "queued":
    case "retrying": {
      const rows: string[] = [];
      if (queue?.position != null) rows.push(row("place", `${ordinalText(queue.position)} in line`));
      if (queue?.estimatedStartAt != null) {
        const at = queue.estimatedStartAt;
        rows.push(row("starts", `about ${clockText(at, day)} (${fromNowText(at, nowMs)})`));
      }
      if (queue !== null) rows.push(row(`${queue.waitingOn}`, inertText(queue.detail)));
      return [...rows, spent, deadline];
    }
    case "running": {
      const doing = job.phase === "storing" ? "upstream delivered; the images are being stored" : "upstream is at work";
      return [row("now", doing), spent, deadline];
    }
    case "succeeded":
    case "failed":
    case "canceled": {
      const rows = job.error === null ? [] : [row("error", `${job.error.code}: ${inertText(job.error.message)}`)];
      if (job.error !== null) rows.push(row("hint", inertText(job.error.hint)));
      const { expiresAt } = job;
      if (expiresAt !== null)
        rows.push(row("kept until", `${clockText(expiresAt, day)} (${fromNowText(expiresAt, nowMs)})`));
      return rows;
    }
    default:
      throw new Error(`no such status: ${JSON.stringify(job.status satisfies never)}`);
  }
}

const EXTENSIONS: Readonly<Record<string, string>> = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" };

function imageRows(job: Job): string[] {
  return (job.output?.images ?? []).flatMap((image) => {
    const name = `${job.id}-${image.index}.${EXTENSIONS[image.contentType] ?? "image"}`;
    return [
      row(`image ${image.index}`, `${image.width}×${image.height} ${image.contentType}, ${bytesText(image.bytes)}`),
      row("", `sha256 ${image.sha256}`),
      row("", `curl -o ${name} ${shellQuoted(image.url)}`),
    ];
  });
}

function commandRows(job: Job, withToken: boolean): string[] {
  const token = withToken ? ' -H "Authorization: Bearer $DARKROOM_TOKEN"' : "";
  const command = (name: string, text: string) => row(name, `curl ${text}`);
  const rows: string[] = [];
  if (!job.done) {
    rows.push(command("watch", `-N -H 'Accept: text/event-stream' ${shellQuoted(job.links.events)}`));
    rows.push(command("wait", `-H 'Prefer: wait=60' -H 'Accept: text/plain' ${shellQuoted(job.links.self)}${token}`));
    rows.push(command("cancel", `-X POST ${shellQuoted(job.links.cancel)}${token}`));
  }
  if (job.status === "failed" || job.status === "canceled") {
    rows.push(command("retry", `-X POST ${shellQuoted(job.links.retry)}${token}`));
  }
  rows.push(command("json", `${shellQuoted(job.links.self)}${token}`));
  rows.push(command("delete", `-X DELETE ${shellQuoted(job.links.self)}${token}`));
  return rows;
}

function requestLine({ workflow, model, request }: Job): string {
  const facts = [workflow, model, request.size, request.n > 1 ? `${request.n} images` : null];
  const seed = request.seed === null ? null : `seed ${request.seed}`;
  const priority = request.priority === "normal" ? null : `${request.priority} priority`;
  return [...facts, seed, priority].filter((fact) => fact !== null).join(" · ");
}

function section(title: string, rows: readonly string[]): string[] {
  return rows.length === 0 ? [] : ["", title, ...rows];
}

/**
 * The job for people with a terminal. Everything that somebody else wrote (prompt, upstream's words, metadata) is inert in
 * it. `withToken` when commands need one.
 */
export function jobTimeline(job: Job, nowMs: number, withToken: boolean): string {
  const day = job.createdAt.slice(0, 10);
  const inputs = job.request.images.map((image, index) =>
    row(
      `input ${index}`,
      image.kind === "url" ? inertText(image.url) : `${image.width}×${image.height} ${image.contentType}, uploaded`,
    ),
  );
  const negative = job.request.negativePrompt === null ? [] : quotedLines(`not: ${job.request.negativePrompt}`);
  const metadata = Object.entries(job.metadata).map(([key, value]) => row(inertText(key), inertText(String(value))));
  const lines = [
    `${job.id}  ${job.status}${job.phase === null ? "" : ` (${job.phase})`}`,
    requestLine(job),
    "",
    ...quotedLines(job.request.prompt),
    ...negative,
    ...inputs,
    ...section(`What happened (${day}, UTC)`, timelineRows(job, day, nowMs)),
    ...section(job.done ? "How it ended" : "What happens next", nextRows(job, day, nowMs)),
    ...section("Images", imageRows(job)),
    ...section(
      "Warnings",
      job.warnings.map((warning) => row("", inertText(`${warning.code}: ${warning.message}`))),
    ),
    ...section("Metadata", metadata),
    ...section("Commands", commandRows(job, withToken)),
  ];
  return `${lines.join("\n")}\n`;
}
