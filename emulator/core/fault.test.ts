import { describe, expect, it } from "vitest";
import { drawFault, type FaultRuleInput, LiveRule, type Subject } from "./fault.ts";

const submit: Subject = {
  method: "POST",
  path: "/api/v1/services/aigc/multimodal-generation/generation",
  model: "qwen-image-max",
  prompt: "a red bicycle",
};
const look: Subject = { method: "GET", path: "/api/v1/tasks/1", model: "qwen-image", prompt: "a red bicycle" };

function live(...rules: readonly FaultRuleInput[]): LiveRule[] {
  return rules.map((rule, index) => LiveRule.parse({ ...rule, id: `rule-${index + 1}`, seen: 0, used: 0 }));
}

/** The types of the faults of consecutive calls. */
function faults(
  rules: readonly LiveRule[],
  subject: Subject,
  calls: number,
  random: () => number = () => 0,
): (string | null)[] {
  let left = rules;
  return Array.from({ length: calls }, () => {
    const drawn = drawFault(left, subject, random);
    left = drawn.rules;
    return drawn.fault?.type ?? null;
  });
}

describe("drawFault", () => {
  it("uses the first rule that matches until it is used up, then the next", () => {
    const rules = live({ times: 1, fault: { type: "hang" } }, { times: 2, fault: { type: "bad-json" } });
    expect(faults(rules, submit, 4)).toEqual(["hang", "bad-json", "bad-json", null]);
  });

  it("lets the first calls pass when a rule skips them", () => {
    expect(faults(live({ skip: 2, times: 1, fault: { type: "hang" } }), submit, 4)).toEqual([null, null, "hang", null]);
  });

  it("draws for each call when a rule has a probability", () => {
    const throws = [0.5, 0.1, 0.3, 0.29];
    expect(faults(live({ probability: 0.3, fault: { type: "hang" } }), submit, 4, () => throws.shift() ?? 1)).toEqual([
      null,
      "hang",
      null,
      "hang",
    ]);
  });

  it.each([
    [{ model: "qwen-image-max" }, true],
    [{ model: "qwen-image" }, false],
    [{ prompt: "bicycle" }, true],
    [{ prompt: "car" }, false],
    [{ path: "multimodal" }, true],
    [{ path: "/tasks/" }, false],
    [{ method: "GET" as const }, false],
    [{ model: "qwen-image-max", prompt: "car" }, false],
  ])("matches by every given part: %j", (match, fits) => {
    expect(faults(live({ match, fault: { type: "hang" } }), submit, 1)).toEqual([fits ? "hang" : null]);
  });

  it("applies to reads of tasks only when the path matches them", () => {
    expect(faults(live({ fault: { type: "hang" } }), look, 1)).toEqual([null]);
    expect(faults(live({ match: { path: "/tasks/" }, fault: { type: "hang" } }), look, 1)).toEqual(["hang"]);
  });

  it("does not use up a fault of tasks on a synchronous call", () => {
    const rules = live({ times: 1, fault: { type: "task-unknown" } });
    expect(drawFault(rules, submit, () => 0)).toEqual({ fault: null, rules });
  });
});
