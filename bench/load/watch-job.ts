import { WebSocket } from "ws";
import { TOKEN } from "../sides/contestants.ts";

/** The part of a frame that the bench reads. */
export interface Frame {
  readonly event: { readonly type: string } | null;
  readonly job: { readonly id: string; readonly status: string; readonly done: boolean };
}

/** A job that takes longer than this never ends. */
const DONE_WITHIN_MS = 120_000;

/** A socket on one job. */
export interface JobWatch {
  /** Resolves once the socket is open. */
  readonly opened: Promise<void>;
  /** The arrival time of the frame with `job.done`, in epoch ms with fractions; rejects when it does not arrive. */
  readonly doneAtMs: Promise<number>;
  close(): void;
}

/** Watches a job as the page does. `onFrame` is called with each frame and its arrival time. */
export function watchJob(
  baseUrl: string,
  id: string,
  onFrame: (frame: Frame, atMs: number) => void = () => {},
): JobWatch {
  const socket = new WebSocket(`${baseUrl.replace("http", "ws")}/api/jobs/${id}/events`, {
    headers: { authorization: `Bearer ${TOKEN}` },
    perMessageDeflate: false,
  });
  const opened = Promise.withResolvers<void>();
  const done = Promise.withResolvers<number>();
  // A caller awaits only one of the two promises, and gets a failure there.
  done.promise.catch(() => {});
  opened.promise.catch(() => {});
  const late = setTimeout(() => done.reject(new Error(`${id} was not done within two minutes`)), DONE_WITHIN_MS);
  const failed = (error: Error): void => {
    clearTimeout(late);
    opened.reject(error);
    done.reject(error);
  };
  socket.once("open", () => opened.resolve());
  socket.once("error", failed);
  socket.once("close", (code) => failed(new Error(`the socket on ${id} was closed with ${code}`)));
  socket.on("message", (data) => {
    const atMs = performance.timeOrigin + performance.now();
    const frame = JSON.parse(String(data)) as Frame;
    onFrame(frame, atMs);
    if (!frame.job.done) return;
    clearTimeout(late);
    done.resolve(atMs);
  });
  return { opened: opened.promise, doneAtMs: done.promise, close: () => socket.close() };
}
