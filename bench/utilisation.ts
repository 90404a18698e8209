/**
 * The share of its quota that a lane with a backlog used, 0 to 1: the least time that its starts must take, over the time that
 * they took. `startedAtMs` in order; throws on starts that span no time.
 */
export function utilisation(startedAtMs: readonly number[], starts: number, periodMs: number): number {
  const first = startedAtMs[0];
  const last = startedAtMs.at(-1);
  if (first === undefined || last === undefined || last === first) throw new Error("too few starts to judge");
  const leastMs = Math.floor((startedAtMs.length - 1) / starts) * periodMs;
  return leastMs / (last - first);
}
