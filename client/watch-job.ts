import { EventPage, JobFrame } from "../schemas/event.ts";
import { Job } from "../schemas/job.ts";
import { paths } from "../schemas/paths.ts";
import { callApi, parseAnswer } from "./api-call.ts";
import type { Settings } from "./client-options.ts";
import { type FollowOptions, follow } from "./follow.ts";
import { type JobPosition, judgeFrame } from "./job-position.ts";
import { parseFrame } from "./parse-frame.ts";
import { pause } from "./pause.ts";
import { readSocket, type SocketConstructor } from "./text-socket.ts";

/** From where on a job is watched. */
export interface WatchOptions extends FollowOptions {
  /** The seq of the last event already known: what came after it is told first. Left out: the state now, then what happens. */
  readonly after?: number | undefined;
}

/** A job's id, or the job itself, whose own link then saves a call. */
export type JobTarget = string | Pick<Job, "id" | "links">;

/** The close code of a stream that is complete (spec, section 6). */
const COMPLETE = 1000;

/** How many events one page may hold; the server's own bound is no smaller. */
const EVENT_PAGE_LIMIT = 100;

/**
 * A job's frames until it is done: each event once and in order, over whatever connections that takes. Ends after the frame
 * whose job is done; throws `DarkroomProblem` when the job may not be watched (unknown, gone), and the signal's reason.
 */
export function watchJob(
  settings: Settings,
  target: JobTarget,
  options: WatchOptions,
): AsyncGenerator<JobFrame, void, void> {
  const watch = new JobWatch(settings, target, options);
  const Socket = settings.WebSocket;
  return follow(
    { live: Socket === null ? null : (onLive) => watch.live(Socket, onLive), poll: () => watch.poll() },
    settings,
    options,
  );
}

class JobWatch {
  readonly #settings: Settings;
  readonly #id: string;
  readonly #signal: AbortSignal | undefined;
  #position: JobPosition;
  /** Where to connect; null when it must be asked of the job first. */
  #link: string | null;
  #etag: string | null = null;
  #polledJob: Job | null = null;

  constructor(settings: Settings, target: JobTarget, options: WatchOptions) {
    this.#settings = settings;
    this.#signal = options.signal;
    this.#position = options.after ?? null;
    this.#id = typeof target === "string" ? target : target.id;
    // With a token the plain address would need a header that sockets cannot send; the job's own link needs none.
    const plain = settings.token === null ? jobPath(this.#id, "/events") : null;
    this.#link = typeof target === "string" ? plain : target.links.events;
  }

  async *live(Socket: SocketConstructor, onLive: () => void): AsyncGenerator<JobFrame, "finished" | "lost", void> {
    // Asking also tells why an earlier connection was refused, which a browser's socket does not.
    this.#link ??= (await this.#fetchJob()).links.events;
    const resumedAfter = this.#position;
    const url = new URL(this.#link, this.#settings.baseUrl);
    url.protocol = url.protocol === "http:" ? "ws:" : "wss:";
    if (resumedAfter !== null) url.searchParams.set("after", String(resumedAfter));
    const texts = readSocket(url.href, Socket, this.#settings.timing, this.#signal, onLive);
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

  async *poll(): AsyncGenerator<JobFrame, "finished" | "again", void> {
    const job = await this.#changedJob();
    if (job === null) return "again";
    if (this.#position === null) {
      this.#position = job.seq;
      yield { type: "job", seq: job.seq, event: null, job };
    } else if (job.seq > this.#position) {
      yield* this.#missedEvents(job);
    } else {
      yield { type: "job", seq: job.seq, event: null, job };
    }
    return job.done ? "finished" : "again";
  }

  /** One frame for each event up to the job's own seq; later ones wait for the state that belongs to them. */
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

  /** The job once anything in it has changed; null when the wait ran out first. */
  async #changedJob(): Promise<Job | null> {
    const { pollWaitSeconds, pollEveryMs, callTimeoutMs } = this.#settings.timing;
    const askedAtMs = Date.now();
    const answer = await callApi(this.#settings, {
      method: "GET",
      path: jobPath(this.#id),
      headers: this.#etag === null ? {} : { "If-None-Match": this.#etag, Prefer: `wait=${pollWaitSeconds}` },
      jobId: this.#id,
      timeoutMs: callTimeoutMs + pollWaitSeconds * 1000,
      signal: this.#signal,
    });
    if (answer.status === 304) {
      // A server or a cache in between that does not hold the answer must not be asked in a tight loop.
      await pause(Math.max(0, askedAtMs + pollEveryMs - Date.now()), this.#signal);
      return null;
    }
    this.#etag = answer.headers.get("etag");
    const job = parseAnswer(answer, Job);
    const unchanged = this.#etag === null && JSON.stringify(job) === JSON.stringify(this.#polledJob);
    this.#polledJob = job;
    if (!unchanged) return job;
    await pause(pollEveryMs, this.#signal);
    return null;
  }

  async #fetchJob(): Promise<Job> {
    const answer = await callApi(this.#settings, {
      method: "GET",
      path: jobPath(this.#id),
      jobId: this.#id,
      signal: this.#signal,
    });
    return parseAnswer(answer, Job);
  }

  #parse(text: string): JobFrame | null {
    const facts = { method: "GET", url: this.#link ?? "", jobId: this.#id, idempotencyKey: null };
    return parseFrame(text, JobFrame, ["job"], facts);
  }
}

/** The id is encoded: whatever was given as one, it stays one part of the path. */
export function jobPath(id: string, rest = ""): string {
  return paths.job(encodeURIComponent(id)) + rest;
}
