import { EventPage, JobFrame } from "../schemas/event.ts";
import { Job } from "../schemas/job.ts";
import { paths } from "../schemas/paths.ts";
import { type ApiAnswer, callApi, parseAnswer, parseFrame } from "./api-call.ts";
import type { Settings } from "./client-options.ts";
import { askedWaitMs, isTransient } from "./errors.ts";
import { type FollowOptions, follow } from "./follow.ts";
import { pause, pauseAfterFailure, retryAfterMs } from "./retry.ts";
import { COMPLETE, readSocket, type SocketConstructor } from "./text-socket.ts";

/** Where watching a job starts. */
export interface WatchOptions extends FollowOptions {
  /** The seq of the last event that the caller has: later events come first. Left out: the state now, then new events. */
  readonly after?: number | undefined;
}

/** A job's id, or the job itself. The job carries its own link to its events, which saves a call. */
export type JobTarget = string | Pick<Job, "id" | "links">;

/** Events a page; the server accepts at least as many. */
const EVENT_PAGE_LIMIT = 100;

/** The path of a job. The id is encoded, so that it stays one path segment with any content. */
export function jobPath(id: string, rest = ""): string {
  return paths.job(encodeURIComponent(id)) + rest;
}

/**
 * Resolves to the job once it is done. Continues through outages of any length, and waits as long as the server asks, up to five
 * minutes at a time. Throws a refusal, `misconfigured`, or the signal's reason.
 */
export async function waitForJob(settings: Settings, id: string, signal: AbortSignal | undefined): Promise<Job> {
  const { pollWaitSeconds, pollEveryMs, callTimeoutMs } = settings.timing;
  for (;;) {
    const sentAtMs = Date.now();
    try {
      const answer = await callApi(settings, {
        method: "GET",
        path: jobPath(id),
        headers: { Prefer: `wait=${pollWaitSeconds}` },
        jobId: id,
        timeoutMs: callTimeoutMs + pollWaitSeconds * 1000,
        signal,
      });
      const job = parseAnswer(answer, Job);
      if (job.done) return job;
      const heldMs = Date.now() - sentAtMs;
      const waitMs = retryAfterMs(answer.headers.get("retry-after"), Date.now()) ?? pollEveryMs;
      // Poll again at once if the server held the answer; else wait as long as it asked.
      if (heldMs < pollEveryMs) await pause(Math.min(waitMs, pollWaitSeconds * 1000), signal);
    } catch (error) {
      if (!isTransient(error)) throw error;
      await pause(pauseAfterFailure(pollEveryMs * (1 + Math.random()), askedWaitMs(error)), signal);
    }
  }
}

/**
 * A job's frames until it is done: each event once and in order, across reconnections. Ends after the frame whose job is done.
 * Throws `DarkroomProblem` when the job cannot be watched (unknown or removed), and the signal's reason on abort.
 */
export function watchJob(
  settings: Settings,
  target: JobTarget,
  options: WatchOptions,
): AsyncGenerator<JobFrame, void, void> {
  const watch = new JobWatch(settings, target, options);
  const Socket = settings.WebSocket;
  return follow(
    { live: Socket === null ? null : (onLive) => watch.live(Socket, onLive), poll: (onAnswer) => watch.poll(onAnswer) },
    settings,
    options,
  );
}

/** The seq of the last event that the watcher has; `null` before the first frame. */
export type JobPosition = number | null;

/**
 * What to do with a frame. `gap`: an event before it is missing, so drop it and connect again after `position`.
 * `finished`: no frame follows this one.
 */
export type FrameStep =
  | { readonly kind: "take"; readonly position: number; readonly finished: boolean }
  | { readonly kind: "skip" }
  | { readonly kind: "gap" };

/**
 * Decides about the next frame of a job, so that a watcher gets every event once and in order, over any connection.
 * `resumed`: the frame is the first of a connection that was opened with `?after=position`. Then a jump in the numbers is not
 * a gap, because the server has no event in between.
 */
export function judgeFrame(position: JobPosition, frame: JobFrame, resumed: boolean): FrameStep {
  const finished = frame.job.done && frame.seq >= frame.job.seq;
  if (position === null) return { kind: "take", position: frame.seq, finished };
  if (frame.event === null) {
    // A state newer than the position is skipped, because the events up to it follow one by one.
    return frame.seq === position ? { kind: "take", position, finished } : { kind: "skip" };
  }
  if (frame.seq <= position) return { kind: "skip" };
  if (frame.seq > position + 1 && !resumed) return { kind: "gap" };
  return { kind: "take", position: frame.seq, finished };
}

interface Polled {
  readonly job: Job;
  readonly etag: string | null;
}

class JobWatch {
  readonly #settings: Settings;
  readonly #id: string;
  readonly #signal: AbortSignal | undefined;
  #position: JobPosition;
  /** The address to connect to; null when it has to be read from the job first. */
  #link: string | null;
  /** The result of the last poll; null when the next poll must be answered at once. */
  #polled: Polled | null = null;

  constructor(settings: Settings, target: JobTarget, options: WatchOptions) {
    this.#settings = settings;
    this.#signal = options.signal;
    this.#position = options.after ?? null;
    this.#id = typeof target === "string" ? target : target.id;
    // The plain address needs the token in a header, which sockets cannot send. The job's own link is signed.
    const plain = settings.token === null ? jobPath(this.#id, "/events") : null;
    this.#link = typeof target === "string" ? plain : target.links.events;
  }

  async *live(Socket: SocketConstructor, onLive: () => void): AsyncGenerator<JobFrame, "finished" | "lost", void> {
    // Reading the job also throws the reason of an earlier refusal, which a browser's socket does not show.
    this.#link ??= (await this.#fetchJob()).links.events;
    const resumedAfter = this.#position;
    const url = new URL(this.#link, this.#settings.baseUrl);
    url.protocol = url.protocol === "http:" ? "ws:" : "wss:";
    if (resumedAfter !== null) url.searchParams.set("after", String(resumedAfter));
    const texts = readSocket(url.href, Socket, this.#settings.timing, this.#signal, () => {
      // The last poll is older than the frames of this connection.
      this.#polled = null;
      onLive();
    });
    let first = true;
    try {
      for (;;) {
        const { done, value } = await texts.next();
        if (done) {
          if (!value.opened) this.#link = null;
          return value.opened && value.code === COMPLETE ? "finished" : "lost";
        }
        const frame = this.#parse(value);
        if (frame === null) continue;
        const step = judgeFrame(this.#position, frame, first && resumedAfter !== null);
        first = false;
        if (step.kind === "gap") return "lost";
        if (step.kind === "skip") continue;
        this.#position = step.position;
        yield frame;
        if (step.finished) return "finished";
      }
    } finally {
      await texts.return({ opened: true, code: COMPLETE });
    }
  }

  async *poll(onAnswer: () => void): AsyncGenerator<JobFrame, "finished" | "again" | "later", void> {
    const before = this.#polled;
    // Set again only after all frames of this poll were yielded: after a failure the next poll must not wait for a change.
    this.#polled = null;
    const sentAtMs = Date.now();
    const { answer, job } = await this.#pollJob(before);
    onAnswer();
    if (job === null || JSON.stringify(job) === JSON.stringify(before?.job)) {
      this.#polled = before;
      // A server or cache that does not hold the answer must not be polled in a tight loop.
      const wasHeld = Date.now() - sentAtMs >= this.#settings.timing.pollEveryMs;
      return wasHeld ? "again" : "later";
    }
    if (this.#position !== null && job.seq > this.#position) {
      yield* this.#missedEvents(job);
    } else {
      this.#position ??= job.seq;
      yield { type: "job", seq: job.seq, event: null, job };
    }
    const etag = answer.headers.get("etag");
    this.#polled = { job, etag };
    if (job.done) return "finished";
    // The server holds a poll only if it has an ETag to compare with.
    return etag === null ? "later" : "again";
  }

  /** One frame for each event up to the job's own seq. Later events wait for a newer state of the job. */
  async *#missedEvents(job: Job): AsyncGenerator<JobFrame, void, void> {
    for (let after = this.#position ?? 0; after < job.seq; ) {
      const answer = await callApi(this.#settings, {
        method: "GET",
        path: jobPath(this.#id, `/events?after=${after}&limit=${EVENT_PAGE_LIMIT}`),
        jobId: this.#id,
        signal: this.#signal,
      });
      const { events } = parseAnswer(answer, EventPage);
      if (events.length === 0) return;
      for (const event of events) {
        if (event.seq > job.seq) return;
        if (event.seq <= after) continue;
        after = event.seq;
        this.#position = event.seq;
        yield { type: "job", seq: event.seq, event, job };
      }
    }
  }

  /** The job now, or as soon as it differs from `before`; null when it stayed the same until the server answered. */
  async #pollJob(before: Polled | null): Promise<{ answer: ApiAnswer; job: Job | null }> {
    const { pollWaitSeconds, callTimeoutMs } = this.#settings.timing;
    const etag = before?.etag ?? null;
    const answer = await callApi(this.#settings, {
      method: "GET",
      path: jobPath(this.#id),
      headers: etag === null ? {} : { "If-None-Match": etag, Prefer: `wait=${pollWaitSeconds}` },
      jobId: this.#id,
      timeoutMs: callTimeoutMs + pollWaitSeconds * 1000,
      signal: this.#signal,
    });
    return { answer, job: answer.status === 304 ? null : parseAnswer(answer, Job) };
  }

  async #fetchJob(): Promise<Job> {
    const path = jobPath(this.#id);
    const answer = await callApi(this.#settings, { method: "GET", path, jobId: this.#id, signal: this.#signal });
    return parseAnswer(answer, Job);
  }

  #parse(text: string): JobFrame | null {
    const facts = { method: "GET", url: this.#link ?? "", jobId: this.#id, idempotencyKey: null };
    return parseFrame(text, JobFrame, ["job"], facts);
  }
}
