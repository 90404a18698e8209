import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FaultRule } from "./core/fault.ts";
import { findModel } from "./core/model-table.ts";
import { DEFAULT_SETTINGS } from "./core/settings.ts";
import { EmulatorState } from "./emulator-state.ts";
import type { BilledImage, TaskTaken } from "./journal.ts";
import { fileJournal } from "./journal.ts";

let folder: string;
let nowMs: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "emulator-state-"));
  nowMs = 1_000_000;
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The state in a new process. Nothing was closed before, as after a SIGKILL. */
function open(): EmulatorState {
  return new EmulatorState(fileJournal(join(folder, "facts.jsonl")), DEFAULT_SETTINGS, [], () => nowMs);
}

function image(more: Partial<BilledImage> = {}): BilledImage {
  return {
    atMs: nowMs,
    callId: 1,
    taskId: null,
    requestId: "r",
    model: "qwen-image",
    prompt: "a cat",
    keyHash: "k",
    index: 0,
    seed: 1,
    path: "/a.png",
    expiresAtMs: 5000,
    width: 1,
    height: 1,
    bytes: 1,
    sha256: "0",
    picture: "p",
    paddedTo: null,
    linkFault: null,
    ...more,
  };
}

function task(id: string, more: Partial<TaskTaken> = {}): TaskTaken {
  const order = {
    prompt: "a cat",
    negativePrompt: null,
    images: [],
    size: null,
    n: 1,
    seed: null,
    promptExtend: true,
    watermark: false,
  };
  return {
    id,
    callId: 1,
    requestId: "r",
    keyHash: "k",
    model: "qwen-image",
    family: "older",
    order,
    submittedAtMs: nowMs,
    durationMs: 100,
    inProgress: 1,
    fate: { kind: "succeed", failedImages: 0 },
    images: [image({ taskId: id, path: `/${id}.png` })],
    unseenReads: 0,
    ...more,
  };
}

const call = {
  atMs: 1,
  kind: "submit",
  method: "POST",
  path: "/services/x",
  requestId: "r",
  model: "qwen-image",
  prompt: "a cat",
  keyHash: "k",
} as const;

describe("after a kill", () => {
  it("the ledger, the rules with their counts, and changed settings are still there", () => {
    const before = open();
    before.addRule(FaultRule.parse({ times: 2, fault: { type: "hang" } }));
    before.patchSettings({ latencyMs: 7 });
    const { call: noted } = before.openCall(call);
    before.bill([image()]);
    before.closeCall({
      id: noted.id,
      endedAtMs: 2,
      status: 200,
      code: null,
      taskId: null,
      billedImages: 1,
      clientGone: false,
    });
    before.noteDownload("/a.png", 200);
    const after = open();
    expect(after.ledger.calls).toEqual(before.ledger.calls);
    expect(after.ledger.images).toEqual(before.ledger.images);
    expect(after.rules).toMatchObject([{ id: "rule-1", used: 1 }]);
    expect(after.settings.latencyMs).toBe(7);
    expect(after.addRule(FaultRule.parse({ fault: { type: "hang" } })).id).toBe("rule-2");
  });

  it("a call that was open is reported as interrupted", () => {
    open().openCall(call);
    expect(open().ledger.summary()).toMatchObject({ open: 0, interrupted: 1 });
  });

  it("the quota's window still counts", () => {
    const model = findModel("qwen-image-max");
    if (model === null) throw new Error("no model");
    expect([open().takeStart("k", model), open().takeStart("k", model), open().takeStart("k", model)]).toEqual([
      true,
      true,
      false,
    ]);
    nowMs += 60_000;
    expect(open().takeStart("k", model)).toBe(true);
  });

  it("tasks advance by the clock, and each is billed once at its end", () => {
    const before = open();
    before.takeTask(task("a"));
    before.takeTask(task("b"));
    nowMs += 150;
    const after = open();
    expect(after.tasks().map(({ status }) => status)).toEqual(["SUCCEEDED", "RUNNING"]);
    expect(after.ledger.images.map(({ taskId, atMs, expiresAtMs }) => [taskId, atMs, expiresAtMs])).toEqual([
      ["a", 1_000_100, 1_005_100],
    ]);
    nowMs += 1000;
    expect(open().ledger.images.map(({ taskId }) => taskId)).toEqual(["a", "b"]);
    expect(open().ledger.images).toHaveLength(2);
  });

  it("a canceled task stays canceled and is not billed", () => {
    const before = open();
    before.takeTask(task("a"));
    before.takeTask(task("b"));
    expect([before.cancelTask("a"), before.cancelTask("b")]).toEqual([false, true]);
    nowMs += 1000;
    expect(open().task("b")?.status).toBe("CANCELED");
    expect(open().ledger.images.map(({ taskId }) => taskId)).toEqual(["a"]);
  });

  it("a line that was cut while it was written is ignored, and writing continues after the last complete line", () => {
    const before = open();
    before.bill([image()]);
    appendFileSync(join(folder, "facts.jsonl"), '{"type":"billed","ima');
    const after = open();
    after.bill([image({ path: "/b.png" })]);
    expect(open().ledger.images.map(({ path }) => path)).toEqual(["/a.png", "/b.png"]);
  });

  it("a file of another program is refused with the line's number", () => {
    writeFileSync(join(folder, "facts.jsonl"), '{"type":"else"}\n');
    expect(open).toThrow(/facts\.jsonl, line 1/);
  });
});

describe("a reset", () => {
  it("removes everything, from the file too", () => {
    const state = open();
    state.bill([image()]);
    state.takeTask(task("a"));
    state.patchSettings({ latencyMs: 7 });
    state.reset();
    for (const each of [state, open()]) {
      expect(each.ledger.images).toEqual([]);
      expect(each.tasks()).toEqual([]);
      expect(each.settings).toEqual(DEFAULT_SETTINGS);
    }
  });
});
