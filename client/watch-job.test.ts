import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../test/support/properties.ts";
import { eventFrame, stateFrame } from "./job.fixture.ts";
import { type JobPosition, judgeFrame } from "./watch-job.ts";

describe("judgeFrame", () => {
  it("takes the state that a stream begins with", () => {
    expect(judgeFrame(null, stateFrame(4, 9), false)).toEqual({ kind: "take", position: 4, finished: false });
  });

  it("takes the next event, and a new place in line at the same seq", () => {
    expect(judgeFrame(4, eventFrame(5, 9), false)).toEqual({ kind: "take", position: 5, finished: false });
    expect(judgeFrame(5, stateFrame(5, 9), false)).toEqual({ kind: "take", position: 5, finished: false });
  });

  it("skips events that it has, and a state whose events are still to come", () => {
    expect(judgeFrame(5, eventFrame(5, 9), false).kind).toBe("skip");
    expect(judgeFrame(5, eventFrame(2, 9), true).kind).toBe("skip");
    expect(judgeFrame(5, stateFrame(3, 9), false).kind).toBe("skip");
    expect(judgeFrame(5, stateFrame(7, 9), true).kind).toBe("skip");
  });

  it("reports a gap before a missing event, but not when a resumed stream lacks the event too", () => {
    expect(judgeFrame(5, eventFrame(7, 9), false).kind).toBe("gap");
    expect(judgeFrame(5, eventFrame(7, 9), true)).toEqual({ kind: "take", position: 7, finished: false });
  });

  it("is finished by the last event of a done job, not by an earlier event that is shown with the done job", () => {
    expect(judgeFrame(7, eventFrame(8, 9, 9), false)).toEqual({ kind: "take", position: 8, finished: false });
    expect(judgeFrame(8, eventFrame(9, 9), false)).toEqual({ kind: "take", position: 9, finished: true });
    expect(judgeFrame(null, stateFrame(9, 9), false)).toMatchObject({ finished: true });
  });

  it("takes every event once and in order, however connections are cut and frames are lost or repeated", () => {
    const last = 12;
    // A connection: how many past events it repeats, how many it brings, and which of them it drops.
    const connection = fc.record({
      repeats: fc.integer({ min: 0, max: 4 }),
      brings: fc.integer({ min: 0, max: 6 }),
      drops: fc.array(fc.integer({ min: 1, max: last }), { maxLength: 3, size: "max" }),
    });
    fc.assert(
      fc.property(fc.array(connection, { maxLength: 20, size: "max" }), (connections) => {
        let position: JobPosition = 0;
        const taken: number[] = [];
        // The last connection drops nothing, so that in the end every event is there.
        for (const { repeats, brings, drops } of [...connections, { repeats: 0, brings: last, drops: [] }]) {
          const start: number = Math.max(1, position + 1 - repeats);
          // An event that a server omits right after a resume does not exist, so only later events can be lost.
          const sent = range(start, Math.min(last, position + brings)).filter(
            (seq) => seq <= (position ?? 0) + 1 || !drops.includes(seq),
          );
          for (const [index, seq] of sent.entries()) {
            const step = judgeFrame(position, eventFrame(seq, last), index === 0);
            if (step.kind === "gap") break;
            if (step.kind === "skip") continue;
            position = step.position;
            taken.push(seq);
          }
        }
        expect(taken).toEqual(range(1, last));
      }),
      cases(),
    );
  });
});

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}
