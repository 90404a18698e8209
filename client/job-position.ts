import type { JobFrame } from "../schemas/event.ts";

/** The number of the last event that the watcher has; `null` before the first frame. */
export type JobPosition = number | null;

/**
 * What to do with a frame. `gap`: an event before it is missing, so connect again after `position`; nothing was taken.
 * `finished`: no frame follows this one.
 */
export type FrameStep =
  | { readonly kind: "take"; readonly position: number; readonly finished: boolean }
  | { readonly kind: "skip" }
  | { readonly kind: "gap" };

/**
 * Judges the next frame of a job, so that a watcher sees every event once and in order, whatever connection it came over.
 * `resumed` says that the frame is the first of a connection opened after `position`: what the server does not have then
 * does not exist, and a jump in the numbers is taken as it is.
 */
export function judgeFrame(position: JobPosition, frame: JobFrame, resumed: boolean): FrameStep {
  const finished = frame.job.done && frame.seq >= frame.job.seq;
  if (position === null) return { kind: "take", position: frame.seq, finished };
  if (frame.event === null) {
    // A state ahead of the position stands for events that are still to come one by one.
    return frame.seq === position ? { kind: "take", position, finished } : { kind: "skip" };
  }
  if (frame.seq <= position) return { kind: "skip" };
  if (frame.seq > position + 1 && !resumed) return { kind: "gap" };
  return { kind: "take", position: frame.seq, finished };
}
