import { describe, expect, it } from "vitest";
import { TaskBoard, type TaskFacts } from "./task-board.ts";

const DAY_MS = 86_400_000;

function facts(id: string, more: Partial<TaskFacts> = {}): TaskFacts {
  return {
    id,
    keyHash: "k",
    model: "qwen-image",
    submittedAtMs: 0,
    durationMs: 100,
    inProgress: 2,
    fate: { kind: "succeed", failedImages: 0 },
    ...more,
  };
}

function board(...tasks: readonly TaskFacts[]): TaskBoard<TaskFacts> {
  const made = new TaskBoard<TaskFacts>();
  for (const task of tasks) made.add(task);
  return made;
}

function statuses(tasks: TaskBoard<TaskFacts>, nowMs: number): string[] {
  tasks.advance(nowMs);
  return tasks.views(nowMs, DAY_MS).map(({ status }) => status);
}

describe("TaskBoard", () => {
  it("runs as many tasks as allowed, and the rest wait in order", () => {
    const tasks = board(facts("a"), facts("b", { durationMs: 300 }), facts("c"), facts("d"));
    expect(statuses(tasks, 0)).toEqual(["RUNNING", "RUNNING", "PENDING", "PENDING"]);
    expect(statuses(tasks, 100)).toEqual(["SUCCEEDED", "RUNNING", "RUNNING", "PENDING"]);
    expect(statuses(tasks, 300)).toEqual(["SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
  });

  it("gives the same results when it is read late and when it is read often", () => {
    const often = board(facts("a"), facts("b"), facts("c"), facts("d"));
    for (let nowMs = 0; nowMs <= 500; nowMs += 7) often.advance(nowMs);
    const late = board(facts("a"), facts("b"), facts("c"), facts("d"));
    expect(late.advance(500).map(({ facts: { id }, endedAtMs }) => [id, endedAtMs])).toEqual([
      ["a", 100],
      ["b", 100],
      ["c", 200],
      ["d", 200],
    ]);
    expect(late.views(500, DAY_MS)).toEqual(often.views(500, DAY_MS));
  });

  it("does not let one key or model delay another", () => {
    const tasks = board(
      facts("a"),
      facts("b"),
      facts("c", { keyHash: "other" }),
      facts("d", { model: "qwen-image-plus" }),
    );
    expect(statuses(tasks, 0)).toEqual(["RUNNING", "RUNNING", "RUNNING", "RUNNING"]);
  });

  it("cancels a PENDING task, once, and no other", () => {
    const tasks = board(facts("a", { inProgress: 1 }), facts("b", { inProgress: 1 }));
    expect(tasks.cancel("a", 10)).toBe(false);
    expect(tasks.cancel("b", 10)).toBe(true);
    expect(tasks.cancel("b", 11)).toBe(false);
    expect(tasks.cancel("nobody", 11)).toBe(false);
    expect(statuses(tasks, 1000)).toEqual(["SUCCEEDED", "CANCELED"]);
  });

  it("keeps the status of a stuck task until upstream fails it after 3 h", () => {
    const tasks = board(
      facts("p", { fate: { kind: "stuck", status: "PENDING" } }),
      facts("r", { fate: { kind: "stuck", status: "RUNNING" } }),
    );
    expect(statuses(tasks, 3 * 3_600_000 - 1)).toEqual(["PENDING", "RUNNING"]);
    expect(statuses(tasks, 3 * 3_600_000)).toEqual(["FAILED", "FAILED"]);
  });

  it("gives a stuck PENDING task no running place", () => {
    const stuck = facts("p", { inProgress: 1, fate: { kind: "stuck", status: "PENDING" } });
    expect(statuses(board(stuck, facts("a", { inProgress: 1 })), 0)).toEqual(["PENDING", "RUNNING"]);
  });

  it("answers UNKNOWN for a lost task, and a day after a task's end", () => {
    expect(statuses(board(facts("u", { fate: { kind: "unknown" } })), 50)).toEqual(["UNKNOWN"]);
    expect(statuses(board(facts("a")), 100 + DAY_MS)).toEqual(["SUCCEEDED"]);
    expect(statuses(board(facts("a")), 101 + DAY_MS)).toEqual(["UNKNOWN"]);
  });
});
