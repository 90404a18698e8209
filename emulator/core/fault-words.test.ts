import { describe, expect, it } from "vitest";
import { FAULT_WORDS, faultOf, parseDurationMs, parseFaultOption, promptFault, promptMarkers } from "./fault-words.ts";

describe("faultOf", () => {
  it.each(FAULT_WORDS)("knows %s", (word) => {
    expect(faultOf(word)).not.toBeNull();
  });

  it.each(["", "nonsense", "constructor", "slow", "slow:long", "result-", "error:", "expires:x", "task-unseen:many"])(
    "does not know %j",
    (word) => {
      expect(faultOf(word)).toBeNull();
    },
  );

  it("accepts any code of upstream's", () => {
    expect(faultOf("error:Throttling.BurstRate")).toMatchObject({ type: "error", code: "Throttling.BurstRate" });
  });
});

describe("parseDurationMs", () => {
  it.each([
    ["1500", 1500],
    ["1.5s", 1500],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["10ms", 10],
    ["-1", null],
    ["soon", null],
  ])("%s", (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });
});

describe("faults in a prompt", () => {
  it("keep the case of upstream's code in words of any case", () => {
    for (const prompt of ["a [fault:error:InvalidParameter]", "a [Fault:Error:InvalidParameter]"]) {
      expect(promptMarkers(prompt)).toMatchObject([{ fault: { type: "error", code: "InvalidParameter" } }]);
    }
    expect(promptMarkers("a [fault:SLOW:20S] [fault:Result-HTML]")).toMatchObject([
      { fault: { type: "slow", extraMs: 20_000 } },
      { fault: { type: "result", how: "html" } },
    ]);
  });

  const sequence = (prompt: string, calls: number): (string | null)[] =>
    Array.from({ length: calls }, (_, earlier) => promptFault(promptMarkers(prompt), earlier)?.type ?? null);

  it("apply to every call, or to the named number of calls, one marker after the other", () => {
    expect(sequence("[fault:hang] a cat", 2)).toEqual(["hang", "hang"]);
    expect(sequence("a [fault:hang] cat [fault:bad-json x2]", 2)).toEqual(["hang", "hang"]);
    expect(sequence("[fault:hang x1][fault:bad-json x2] a cat", 4)).toEqual(["hang", "bad-json", "bad-json", null]);
  });

  it("count downloads when they are about the link", () => {
    expect(promptFault(promptMarkers("[fault:result-not-found x2]"), 5)).toMatchObject({ how: "not-found", times: 2 });
  });

  it("are ignored when they are unknown", () => {
    expect(sequence("[fault:whatever] a cat [fault]", 1)).toEqual([null]);
  });
});

describe("parseFaultOption", () => {
  it("reads every part, the prompt with its spaces", () => {
    expect(parseFaultOption("429 x3 25% model=qwen-image-max prompt=a red bicycle")).toMatchObject({
      match: { model: "qwen-image-max", prompt: "a red bicycle" },
      times: 3,
      probability: 0.25,
      fault: { type: "error", code: "Throttling.RateQuota" },
    });
  });

  it.each(["nonsense", "429 often", "429 200%"])("names the part that it cannot read: %s", (text) => {
    expect(parseFaultOption(text)).toHaveProperty("error");
  });
});
