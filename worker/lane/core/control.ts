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
  /** When the last command about each subject was given. Absent in what earlier releases stored. */
  readonly givenAtMs?: Readonly<Record<string, number>>;
}

/** How long a command that was given is remembered, in ms. A call is never carried out later than that. */
const GIVEN_KEPT_MS = 3_600_000;

export const NO_CONTROL: Control = { pause: null, limit: null, clients: {} };

/**
 * `givenAtMs`: when the operator's request arrived. A command that is carried out after a later one about the same subject changes
 * nothing; absent: it is carried out whenever it arrives.
 */
export type LaneCommand = Change & { readonly givenAtMs?: number };

type Change =
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

/** What a command is about: the lane's pause, its quota, or the pause of one client. */
function subjectOf(command: Change): string {
  switch (command.kind) {
    case "pause":
    case "resume":
      return "lane";
    case "limit":
    case "unlimit":
      return "quota";
    default:
      return `client ${command.client}`;
  }
}

/** Whether a later command about the same subject was carried out before. */
export function isOutdated({ givenAtMs = {} }: Control, command: LaneCommand): boolean {
  return command.givenAtMs !== undefined && (givenAtMs[subjectOf(command)] ?? 0) > command.givenAtMs;
}

/** What is in force after the command: the same object when the command is outdated. A pause that is repeated keeps its beginning. */
export function commanded(control: Control, command: LaneCommand, now: number): Control {
  if (isOutdated(control, command)) return control;
  const changed = changedBy(control, command, now);
  if (command.givenAtMs === undefined) return changed;
  const recent = Object.entries(control.givenAtMs ?? {}).filter(([, atMs]) => atMs > now - GIVEN_KEPT_MS);
  return { ...changed, givenAtMs: { ...Object.fromEntries(recent), [subjectOf(command)]: command.givenAtMs } };
}

function changedBy(control: Control, command: Change, now: number): Control {
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
    ...control,
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
