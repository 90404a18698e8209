/** The operator's commands that are in force in a lane. They are stored with it and survive deploys and crashes. Pure. */
import type { Quota } from "../../../schemas/limits.ts";

/** Why a command was given, since when it holds, and until when (`null`: until another command ends it). */
export interface Order {
  readonly reason: string;
  readonly sinceMs: number;
  readonly untilMs: number | null;
}

/** Another quota than the deployment's; what is absent stays as it is. */
export type QuotaChange = Partial<Quota>;

export interface Control {
  /** While set, nothing starts. */
  readonly pause: Order | null;
  readonly limit: (Order & { readonly change: QuotaChange }) | null;
  /** The paused clients, by name: none of their jobs starts. Absent in what earlier releases stored. */
  readonly clients: Readonly<Record<string, Order>>;
}

export const NO_CONTROL: Control = { pause: null, limit: null, clients: {} };

export type LaneCommand =
  | { readonly kind: "pause"; readonly reason: string; readonly untilMs: number | null }
  | { readonly kind: "resume" }
  | { readonly kind: "limit"; readonly change: QuotaChange; readonly reason: string; readonly untilMs: number | null }
  /** Back to the deployment's own quota. */
  | { readonly kind: "unlimit" }
  | { readonly kind: "pauseClient"; readonly client: string; readonly reason: string; readonly untilMs: number | null }
  | { readonly kind: "resumeClient"; readonly client: string };

/** The pause of that client; null when it has none. A client may be called `constructor`, which every object has. */
export function pauseOf({ clients }: Control, client: string): Order | null {
  return Object.hasOwn(clients, client) ? (clients[client] ?? null) : null;
}

/** What is in force after the command. A pause that is repeated keeps its beginning. */
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
    case "pauseClient": {
      const { client, reason, untilMs } = command;
      const sinceMs = pauseOf(control, client)?.sinceMs ?? now;
      return { ...control, clients: { ...control.clients, [client]: { reason, untilMs, sinceMs } } };
    }
    case "resumeClient": {
      if (pauseOf(control, command.client) === null) return control;
      const { [command.client]: _, ...clients } = control.clients;
      return { ...control, clients };
    }
    default:
      return command satisfies never;
  }
}

/** What is still in force at `now`; the same object when nothing has ended. */
export function inForce(control: Control, now: number): Control {
  const isOver = (order: Order | null) => order !== null && order.untilMs !== null && order.untilMs <= now;
  if (!allOf(control).some(isOver)) return control;
  return {
    pause: isOver(control.pause) ? null : control.pause,
    limit: isOver(control.limit) ? null : control.limit,
    clients: Object.fromEntries(Object.entries(control.clients).filter(([, order]) => !isOver(order))),
  };
}

export function quotaUnder(control: Control, quota: Quota): Quota {
  return control.limit === null ? quota : { ...quota, ...control.limit.change };
}

function allOf({ pause, limit, clients }: Control): readonly (Order | null)[] {
  return [pause, limit, ...Object.values(clients)];
}

/** The earliest end of a command; `null` when none has an end. */
export function controlEndsAtMs(control: Control): number | null {
  const ends = allOf(control).flatMap((order) => order?.untilMs ?? []);
  return ends.length === 0 ? null : Math.min(...ends);
}
