import { createLinks } from "../auth/links.ts";
import { configOf } from "../env.ts";
import { CATCH_UP_BATCH, CatchUp, reachedBy } from "./catch-up.ts";
import type { Moment } from "./core/change.ts";
import { isFinal, type JobRecord } from "./core/job-record.ts";
import { toJobView } from "./core/job-view.ts";
import { presentJob } from "./core/present.ts";
import type { FramePart } from "./frame-part.ts";
import type { JobShell } from "./job-shell.ts";
import type { JobStore } from "./job-store.ts";
import { JobWatchers } from "./job-watchers.ts";
import type { OutboxCourier } from "./outbox-courier.ts";
import { readWatch, refuseWatch } from "./watch-request.ts";

/** The job's log and state as frames: who may watch, what they are told, how they leave. */
export class JobStream {
  readonly watchers: JobWatchers;
  readonly #state: DurableObjectState;
  readonly #courier: OutboxCourier;
  readonly #env: Env;
  readonly #store: JobStore;
  readonly #catchUp: CatchUp;

  constructor(state: DurableObjectState, env: Env, shell: JobShell, courier: OutboxCourier, store: JobStore) {
    this.#state = state;
    this.#env = env;
    this.#courier = courier;
    this.#store = store;
    this.watchers = new JobWatchers(state);
    this.#catchUp = new CatchUp(this.watchers, {
      eventsAfter: (after, limit) => store.eventsAfter(after, limit),
      now: () => {
        const record = shell.job();
        return record === null ? null : { job: this.#jobFor(record), done: isFinal(record.state) };
      },
    });
  }

  /** Answers an upgrade or a stream that http let in; refuses it as `watch-request.ts` says. */
  open(request: Request): Response {
    const watch = readWatch(request.headers);
    if (watch === null) return new Response("only for streams", { status: 400 });
    const known = this.#store.load();
    if (known === null || (watch.viewer !== null && watch.viewer !== known.client)) return refuseWatch("job_not_found");
    if (known.kind === "tombstone") return refuseWatch("job_gone");
    const done = isFinal(known.state);
    const { after, origin, mode } = watch;
    if (mode === "sse" && done && after !== null && after >= known.seq) return new Response(null, { status: 204 });
    const full = this.watchers.full;
    if (mode === "ws" ? full.sockets : full.streams) return refuseWatch("too_many_watchers");
    const missed = after === null ? [] : this.#store.eventsAfter(after, CATCH_UP_BATCH);
    const reached = reachedBy(missed);
    const told = done && reached === null;
    const job = this.#jobFor(known);
    const parts: FramePart[] =
      missed.length > 0
        ? missed.map((event) => ({ event, seq: event.seq, job }))
        : [{ event: null, seq: known.seq, job }];
    const answer =
      mode === "ws"
        ? this.watchers.acceptSocket(origin, parts, reached, told)
        : this.watchers.openStream(origin, parts, reached, told, Date.now());
    if (reached !== null) this.#state.waitUntil(this.#catchUp.run());
    const asked = done ? null : this.#courier.place.refresh();
    if (asked !== null) this.#state.waitUntil(asked);
    return answer;
  }

  /** One frame for each event, each with the job as it was then. */
  tell(moments: readonly Moment[], record: JobRecord): void {
    if (moments.length === 0) this.watchers.wake();
    else {
      const parts = moments.map(({ event, record: then }) => ({ event, seq: event.seq, job: this.#jobFor(then) }));
      // The last one shows the job as it is now, with what the change did after its last event.
      const last = parts.at(-1);
      if (last !== undefined) last.job = this.#jobFor(record);
      this.#tell(parts, isFinal(record.state));
    }
  }

  /** A new place in line: no event, and an unchanged seq. */
  tellPlace(record: JobRecord): void {
    this.#tell([{ event: null, seq: record.seq, job: this.#jobFor(record) }], false);
  }

  #tell(parts: readonly FramePart[], done: boolean): void {
    if (this.watchers.tell(parts, done)) this.#state.waitUntil(this.#catchUp.run());
  }

  #jobFor(record: JobRecord): FramePart["job"] {
    const view = toJobView(record, this.#courier.place.now);
    const result = configOf(this.#env);
    const signingSecrets = result.ok ? result.config.signingSecrets : [];
    return (origin) => presentJob(view, createLinks({ signingSecrets }, origin, Date.now()));
  }

  /** A watcher has nothing to say but `ping`, which never comes here. */
  refuseMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    if (typeof message !== "string") socket.close(1003, "this stream takes no binary messages");
    else if (message.length > 1024) socket.close(1009, "this stream takes the text ping and nothing else");
    else socket.close(1008, "this stream takes the text ping and nothing else");
  }

  answerClose(socket: WebSocket, code: number): void {
    // 1005, 1006 and 1015 are not for sending; without an answer the client would wait for its close.
    const sendable = code === 1000 || (code >= 3000 && code <= 4999);
    try {
      socket.close(sendable ? code : 1000, "bye");
    } catch {
      // Closed from both sides at once.
    }
  }
}
