import { beforeEach, describe, expect, it } from "vitest";
import { Progress, QUIET_MS } from "./progress.ts";

let progress: Progress;
beforeEach(() => {
  progress = new Progress(0);
  const files = ["a", "b", "c"].map((file) => ({ file, project: "unit" }));
  progress.see({ kind: "planned", files }, 0);
});

function started(file: string, name: string, boundMs: number, atMs: number): void {
  progress.see({ kind: "started", file, name, boundMs }, atMs);
}
function fileEnded(file: string, atMs: number, passed = 1): void {
  progress.see({ kind: "file ended", file, passed, skipped: 0, failures: [] }, atMs);
}

describe("a run", () => {
  it("has stalled when nothing was seen for the bound", () => {
    expect(progress.isStalled(QUIET_MS - 1)).toBe(false);
    expect(progress.isStalled(QUIET_MS)).toBe(true);
    fileEnded("a", 5_000);
    expect(progress.isStalled(QUIET_MS)).toBe(false);
    progress.sign(60_000);
    expect(progress.isStalled(5_000 + QUIET_MS)).toBe(false);
    expect(progress.isStalled(60_000 + QUIET_MS)).toBe(true);
  });

  it("has not stalled while a test may still end by its own timeout", () => {
    started("a", "slow", 180_000, 1_000);
    expect(progress.isStalled(181_000 + QUIET_MS - 1)).toBe(false);
    expect(progress.isStalled(181_000 + QUIET_MS)).toBe(true);
    progress.see({ kind: "ended", file: "a", name: "slow", failure: null }, 20_000);
    expect(progress.isStalled(20_000 + QUIET_MS)).toBe(true);
  });

  it("fails a test that ran past its timeout, and runs the other files once more", () => {
    fileEnded("a", 0);
    started("b", "suite > hangs", 30_000, 0);
    const { message, again } = progress.stalled(120_000);
    expect(message).toContain("|unit| b > suite > hangs (120 s)");
    expect(again).toBe(true);
    expect(progress.settled()).toEqual(["a", "b"]);
    fileEnded("c", 130_000);
    expect(progress.totals(null)).toEqual({
      passed: 2,
      skipped: 0,
      failures: ["|unit| b > suite > hangs\nran for 120 s, past its own timeout of 30 s"],
      stallsOvercome: 1,
    });
  });

  it("keeps a failure of a file that was cut short, and does not run it again", () => {
    progress.see({ kind: "ended", file: "a", name: "breaks", failure: "breaks\nwhy" }, 0);
    progress.stalled(QUIET_MS);
    expect(progress.settled()).toEqual(["a"]);
    fileEnded("a", QUIET_MS);
    expect(progress.totals(null).failures[0]).toBe("breaks\nwhy");
  });

  it("is run once more as a whole when it stalls before its files are known", () => {
    expect(new Progress(0).stalled(QUIET_MS).again).toBe(true);
  });

  it("is not run again when all of its files had ended", () => {
    for (const file of ["a", "b", "c"]) fileEnded(file, 0);
    expect(progress.stalled(QUIET_MS).again).toBe(false);
    expect(progress.totals(null)).toMatchObject({ passed: 3, failures: [], stallsOvercome: 1 });
  });

  it("fails with vitest's exit when no test failed, and with errors outside of any test", () => {
    for (const file of ["a", "b", "c"]) fileEnded(file, 0);
    expect(progress.totals("exit code 1").failures).toEqual(["vitest\nended with exit code 1"]);
    progress.see({ kind: "run ended", errors: ["outside of any test\nwhy"] }, 0);
    expect(progress.totals("exit code 1").failures).toEqual(["outside of any test\nwhy"]);
  });

  it("names what runs now", () => {
    fileEnded("a", 0);
    progress.see({ kind: "file started", file: "b" }, 0);
    started("b", "works", 30_000, 1_000);
    expect(progress.line(3_000)).toBe("1 of 3 files; |unit| b > works (2 s)");
  });
});
