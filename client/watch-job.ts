import { EventPage, JobFrame } from "../schemas/event.ts";
import { Job } from "../schemas/job.ts";
import { paths } from "../schemas/paths.ts";
import { type ApiAnswer, callApi, parseAnswer } from "./api-call.ts";
import type { Settings } from "./client-options.ts";
import { type FollowOptions, follow } from "./follow.ts";
import { type JobPosition, judgeFrame } from "./job-position.ts";
import { parseFrame } from "./parse-frame.ts";
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
    { live: Socket === null ? null : (onLive) => watch.live(Socket, onLive), poll: (onAnswer) => watch.poll(onAnswer) },
    settings,
    options,
  );
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
  /** Where to connect; null when it must be asked of the job first. */
  #link: string | null;
  /** What the last poll found; null when the next one is to be answered at once, whatever there is. */
  #polled: Polled | null = null;

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
    const texts = readSocket(url.href, Socket, this.#settings.timing, this.#signal, () => {
      // What was polled before is behind what this connection tells.
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
    // Known again only when all that it brought is told: a round that fails midway must not wait for the next change.
    this.#polled = null;
    const askedAtMs = Date.now();
    const { answer, job } = await this.#pollJob(before);
    onAnswer();
    if (job === null || JSON.stringify(job) === JSON.stringify(before?.job)) {
      this.#polled = before;
      // A server or a cache in between that does not hold the answer must not be asked in a tight loop.
      const wasHeld = Date.now() - askedAtMs >= this.#settings.timing.pollEveryMs;
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
    // Only what has a tag can be held until it changes.
    return etag === null ? "later" : "again";
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

  /** The job now, or once anything in it differs from before; null when the wait for that ran out. */
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
