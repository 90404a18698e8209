import type { Priority } from "../../../schemas/job.ts";

/** From the most urgent; where passes are equal the earlier one goes first. */
export const PRIORITIES = ["high", "normal", "low"] as const satisfies readonly Priority[];

export type PerPriority<T> = Readonly<Record<Priority, T>>;

/**
 * What a start costs a priority (stride scheduling: the lowest pass goes next). With all three waiting, of 21 starts 16
 * are high, 4 normal and 1 low: so none is starved, and a high one waits behind one of each other at most.
 */
const STRIDE: PerPriority<number> = { high: 1, normal: 4, low: 16 };

/** Whose turn it is. `passes` are relative to the priority served last; `rounds` is the last turn served in each. */
export interface Turns {
  readonly passes: PerPriority<number>;
  readonly rounds: PerPriority<number>;
}

export const FIRST_TURNS: Turns = {
  passes: { high: 0, normal: 0, low: 0 },
  rounds: { high: 0, normal: 0, low: 0 },
};

function perPriority<T>(value: (priority: Priority) => T): PerPriority<T> {
  return { high: value("high"), normal: value("normal"), low: value("low") };
}

/**
 * The turn of a job that joins the line (start-time fair queueing): one after its client's last waiting turn, and never
 * in a round that is being served. So clients take turns, a single job waits one turn of every other client at most, and
 * clients that keep arriving cannot hold back those already in line.
 */
export function nextTurn(turns: Turns, priority: Priority, clientsLastTurn: number | null): number {
  return Math.max(turns.rounds[priority], clientsLastTurn ?? 0) + 1;
}

/** The priority to serve next among those in which someone waits; `null` when nobody does. */
export function choosePriority(turns: Turns, waits: (priority: Priority) => boolean): Priority | null {
  let chosen: Priority | null = null;
  for (const priority of PRIORITIES) {
    if (!waits(priority)) continue;
    if (chosen === null || turns.passes[priority] < turns.passes[chosen]) chosen = priority;
  }
  return chosen;
}

/** After `turn` of `priority` was served. A priority in which nobody waited gains no credit for it. */
export function afterServing(turns: Turns, priority: Priority, turn: number): Turns {
  const base = turns.passes[priority];
  return {
    passes: perPriority((each) => (each === priority ? STRIDE[each] : Math.max(0, turns.passes[each] - base))),
    rounds: { ...turns.rounds, [priority]: Math.max(turns.rounds[priority], turn) },
  };
}

/**
 * After someone came to a priority in which nobody waited: its first start is due when its stride has passed, not at once. So
 * the first of low priority lets four normal ones that wait go before it, and one of high priority hardly waits.
 */
export function afterArriving(turns: Turns, priority: Priority): Turns {
  if (turns.passes[priority] >= STRIDE[priority]) return turns;
  return { ...turns, passes: { ...turns.passes, [priority]: STRIDE[priority] } };
}

/** After a start was given back unused: its priority is owed it. */
export function afterGivingBack(turns: Turns, priority: Priority): Turns {
  const pass = Math.max(0, turns.passes[priority] - STRIDE[priority]);
  return { ...turns, passes: { ...turns.passes, [priority]: pass } };
}

/**
 * How many go before a job, if nobody joins or leaves: `aheadOfIt` in its own priority, and those of the others whose
 * pass comes first. Exact: it is the order in which `choosePriority` and `afterServing` will serve them.
 */
export function startsBefore(
  turns: Turns,
  priority: Priority,
  aheadOfIt: number,
  waiting: PerPriority<number>,
): number {
  const pass = turns.passes[priority] + aheadOfIt * STRIDE[priority];
  let before = aheadOfIt;
  let isEarlier = true;
  for (const other of PRIORITIES) {
    if (other === priority) {
      isEarlier = false;
      continue;
    }
    const lead = (pass - turns.passes[other]) / STRIDE[other];
    const first = isEarlier ? Math.floor(lead) + 1 : Math.ceil(lead);
    before += Math.min(waiting[other], Math.max(0, first));
  }
  return before;
}
