import { afterAll, describe, expect, it } from "vitest";
import { Crew } from "./crew.ts";
import { Sim } from "./engine/sim.ts";
import { BUSY_FROM, COMPATIBLE_FROM, OPERATED_FROM, VARIED_FROM } from "./plan.ts";
import { PLANTED } from "./planted.ts";
import { ObjectHost } from "./platform/objects.ts";
import { REGRESSIONS } from "./regressions.ts";

/** Together about 1 000 jobs, which take 46 s of a free core. */
const SHORT_SEEDS = [
  [1, 70],
  [OPERATED_FROM, 20],
  [COMPATIBLE_FROM, 20],
  [VARIED_FROM, 20],
  [BUSY_FROM, 4],
] as const;
/** For a busy machine. A run whose test timed out continues, and the next test would get its findings. */
const PATIENCE_MS = 900_000;

describe("the platform's simulation", () => {
  const crew = new Crew(1);
  afterAll(() => crew.end());

  it("runs a seed the same way every time, alone or after others, byte for byte", async () => {
    const after = await crew.run({ from: 1, count: 8, untilFound: null });
    const other = new Crew(1);
    try {
      const alone = await other.run({ from: 8, count: 1, untilFound: null });
      expect(alone.digests).toEqual(after.digests.slice(7));
      expect(await other.explain(8, true)).toEqual(await crew.explain(8, true));
    } finally {
      other.end();
    }
  });

  it.each(SHORT_SEEDS)(
    "violates no invariant from seed %i on, in %i runs",
    async (from, count) => {
      const total = await crew.run({ from, count, untilFound: null });
      expect(total.findings).toEqual([]);
      expect(total.seeds).toBe(count);
    },
    PATIENCE_MS,
  );

  it.each(REGRESSIONS)("violates nothing with seed $seed: $story", async ({ seed }) => {
    const total = await crew.run({ from: seed, count: 1, untilFound: null });
    expect(total.findings).toEqual([]);
  });
});

describe("a check that throws", () => {
  it("ends the run with its error", async () => {
    const sim = new Sim({ seed: 1, startMs: 0, part: null, isTold: false });
    const broken = () => {
      throw new Error("the check is broken");
    };
    const watch = { answered: broken, carriedOut: broken, kept: broken, alarmRan: broken };
    const classes = {
      JOBS: class {
        ping = () => "pong";
      },
    };
    const host = new ObjectHost(sim, () => ({ classes, env: {} }), watch);
    host.object("JOBS", "job").call(
      "ping",
      [],
      () => undefined,
      () => undefined,
    );
    await expect(sim.clock.run(1_000)).rejects.toThrow("the check is broken");
  });
});

describe("a planted fault", () => {
  const crew = new Crew(1);
  afterAll(() => crew.end());

  it.each(PLANTED)(
    "is found: $story",
    async ({ name, breaks, seed, from: first = 1, withinSeeds }) => {
      const found = async (from: number, count: number) => {
        const { findings } = await crew.run({ from, count, untilFound: breaks, planted: name });
        return findings.map(({ invariant }) => invariant);
      };
      // First the seed that found it last time; all seeds when the product has changed since.
      const again = await found(seed, 1);
      expect(again.includes(breaks) ? again : await found(first, withinSeeds)).toContain(breaks);
    },
    PATIENCE_MS,
  );
});
