/** What the operator has said about a lane: stored with it, so deploys and crashes change nothing of it. Pure. */
import type { Quota } from "../../../schemas/limits.ts";

/** What every word of the operator's has: why, since when, and until when (`null`: until it is taken back). */
interface Said {
  readonly reason: string;
  readonly sinceMs: number;
  readonly untilMs: number | null;
}

/** Another quota than the deployment's; what is absent stays as it is. */
export type QuotaChange = Partial<Quota>;

export interface Control {
  /** While set, nothing starts. */
  readonly pause: Said | null;
  readonly limit: (Said & { readonly change: QuotaChange }) | null;
}

export const NO_CONTROL: Control = { pause: null, limit: null };

export type LaneCommand =
  | { readonly kind: "pause"; readonly reason: string; readonly untilMs: number | null }
  | { readonly kind: "resume" }
  | { readonly kind: "limit"; readonly change: QuotaChange; readonly reason: string; readonly untilMs: number | null }
  /** Back to the deployment's own quota. */
  | { readonly kind: "unlimit" };

/** What holds after the command. A pause that is said again keeps its beginning. */
export function commanded(control: Control, command: LaneCommand, now: number): Control {
  switch (command.kind) {
    case "pause": {
      const { reason, untilMs } = command;
      return { ...control, pause: { reason, untilMs, sinceMs: control.pause?.sinceMs ?? now } };
    }
    case "resume":
      return { ...control, pause: null };
    case "limit": {
      const { change, reason, untilMs } = command;
      return { ...control, limit: { change, reason, untilMs, sinceMs: now } };
    }
    case "unlimit":
      return { ...control, limit: null };
    default:
      return command satisfies never;
  }
}

/** What still holds at `now`; the same object when nothing has ended. */
export function inForce(control: Control, now: number): Control {
  const isOver = (said: Said | null) => said !== null && said.untilMs !== null && said.untilMs <= now;
  if (!isOver(control.pause) && !isOver(control.limit)) return control;
  return {
    pause: isOver(control.pause) ? null : control.pause,
    limit: isOver(control.limit) ? null : control.limit,
  };
}

export function quotaUnder(control: Control, quota: Quota): Quota {
  return control.limit === null ? quota : { ...quota, ...control.limit.change };
}

/** When the next of them ends by itself; `null`: none does. */
export function controlEndsAtMs({ pause, limit }: Control): number | null {
  const ends = [pause?.untilMs, limit?.untilMs].filter((at) => at !== null && at !== undefined);
  return ends.length === 0 ? null : Math.min(...ends);
}
