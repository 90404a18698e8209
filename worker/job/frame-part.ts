import type { JobFrame } from "../../schemas/event.ts";
import type { Job } from "../../schemas/job.ts";

/** What makes a frame's text: the job with its links as the watcher's origin sees them. */
export type JobFor = (origin: string) => Job;

/** A frame before its text is made. */
export interface FramePart {
  readonly event: JobFrame["event"];
  readonly seq: number;
  job: JobFor;
}

/** The frame as a socket sends it. */
export function frameText(part: FramePart, origin: string): string {
  const frame: JobFrame = { type: "job", seq: part.seq, event: part.event, job: part.job(origin) };
  return JSON.stringify(frame);
}

/** The texts of frames, for watchers of one origin. */
export function textsOf(parts: readonly FramePart[], origin: string): string[] {
  return parts.map((part) => frameText(part, origin));
}

const encoder = new TextEncoder();

/** A frame's text as a stream sends it. */
export const sseText = (seq: number, frame: string): Uint8Array =>
  encoder.encode(`event: job\nid: ${seq}\ndata: ${frame}\n\n`);
