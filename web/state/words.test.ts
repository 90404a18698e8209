import { describe, expect, it } from "vitest";
import { job } from "../../client/job.fixture.ts";
import type { LaneReport, ModelInfo, Quota } from "../../schemas/limits.ts";
import { bytesWords } from "./draft-check.ts";
import { EVERYTHING, type Filter, filterFromSearch, matcherOf, searchFromFilter } from "./filter.ts";
import { laneMood, lanesByNeed, paceWords } from "./lane-words.ts";
import { LISTED, sampleAttempt } from "./listed-job.fixture.ts";
import { listedFromJob, shapeOf, sidesOfJob } from "./listed-job.ts";
import { chosenModel, laneOutlook, quotaWords } from "./model-words.ts";
import { FIT, fitScale, sheetColumns, stepScale } from "./print-look.ts";
import { FALLBACK_DURATION_MS, typicalDurationMs } from "./progress.ts";
import { asSentence, capitalised } from "./sentence.ts";
import { ratioLabel, sizeChoices, sizeProblem } from "./sizes.ts";
import { standingOf } from "./standing.ts";

describe("quotas and lanes", () => {
  it.each<[Quota, string]>([
    [{ starts: 2, periodMs: 60_000, inProgress: null }, "2 starts a minute"],
    [{ starts: 1, periodMs: 1000, inProgress: 5 }, "1 start a second, 5 at a time"],
    [{ starts: 3, periodMs: 5000, inProgress: null }, "3 starts in 5 s"],
  ])("%j → %s", (quota, words) => expect(quotaWords(quota)).toBe(words));

  const lane: LaneReport = {
    model: "m",
    quota: { starts: 2, periodMs: 60_000, inProgress: null },
    pace: 1,
    startsPerMinute: 2,
    mode: "open",
    queued: 0,
    inProgress: 0,
    nextStartAt: null,
    typicalDurationMs: null,
    blocked: null,
  };
  it("say when a job of a lane would start", () => {
    expect(laneOutlook(undefined, 0)).toBe("Nothing in line: starts at once.");
    expect(laneOutlook(lane, 0)).toBe("Nothing in line: starts at once.");
    expect(laneOutlook({ ...lane, queued: 3, nextStartAt: new Date(20_000).toISOString() }, 0)).toBe(
      "3 in line: starts in about 1:50 min.",
    );
    const used = { ...lane, nextStartAt: new Date(20_000).toISOString() };
    expect(laneOutlook(used, 0)).toBe("Nothing in line: starts in about 20 s, when the quota allows the next start.");
    expect(laneOutlook({ ...used, pace: 0.7 }, 0)).toBe(
      "Nothing in line: starts in about 20 s, since upstream throttled: the lane is at 70 % of its pace.",
    );
    expect(laneOutlook({ ...lane, mode: "blocked" }, 0)).toMatch(/^On hold/);
  });
  it("distinguish a careful lane from an open and a blocked one", () => {
    expect(laneMood(lane).tone).toBe("open");
    expect(laneMood({ ...lane, pace: 0.5 }).title).toBe("At 50 % of its pace");
    expect(laneMood({ ...lane, mode: "one_at_a_time" }).title).toBe("One at a time");
    expect(laneMood({ ...lane, mode: "blocked" }).title).toBe("On hold");
    const paused = { reason: "moving", since: new Date(0).toISOString(), until: null };
    expect(laneMood({ ...lane, paused })).toMatchObject({ title: "Paused", tone: "blocked" });
    expect(paceWords({ ...lane, paused })).toBe("none while paused");
    expect(laneOutlook({ ...lane, paused }, 0)).toBe("Paused by the operator: Moving.");
  });
  it("put blocked lanes first, then slow ones", () => {
    const held = { ...lane, model: "held", mode: "blocked" as const };
    const slow = { ...lane, model: "slow", pace: 0.5 };
    expect(lanesByNeed([lane, slow, { ...lane, model: "m2" }, held]).map(({ model }) => model)).toEqual([
      "held",
      "slow",
      "m",
      "m2",
    ]);
  });
  it("choose no model before any is known", () => expect(chosenModel("image-from-text", null, [])).toBeNull());
});

describe("paceWords", () => {
  it.each([
    [{ starts: 2, periodMs: 60_000 }, 1.5, "1.5 a minute"],
    [{ starts: 5, periodMs: 1000 }, 300, "5 a second"],
    [{ starts: 5, periodMs: 1000 }, 222, "3.7 a second"],
    [{ starts: 3, periodMs: 5000 }, 36, "3 in 5 s"],
  ])("uses the unit of the quota: %j at %d a minute → %s", (quota, startsPerMinute, words) => {
    expect(paceWords({ quota: { ...quota, inProgress: null }, startsPerMinute, blocked: null })).toBe(words);
  });
});

describe("bytesWords", () => {
  it.each([
    [1, "1 KB"],
    [101_887, "99 KB"],
    [101_888, "0.1 MB"],
    [10_433_331, "9.9 MB"],
    [10_433_332, "10 MB"],
  ])("%d bytes → %s", (bytes, words) => expect(bytesWords(bytes)).toBe(words));
});

describe("sentences", () => {
  it("begin with a capital and end with a full stop", () => {
    expect(asSentence("upstream delivered, but its links died")).toBe("Upstream delivered, but its links died.");
    expect(asSentence("Done!")).toBe("Done!");
    expect(capitalised("élan")).toBe("Élan");
    expect(capitalised("")).toBe("");
  });
});

describe("a full job in the form of the lists", () => {
  const retryAt = "2026-11-23T12:00:30.000Z";
  it("counts the attempts that were started, of which it keeps only the newest", () => {
    const blocked = job({ status: "queued", attempts: [sampleAttempt(30), sampleAttempt(31)] });
    expect(listedFromJob(blocked).attempts).toBe(31);
    expect(listedFromJob(job()).attempts).toBe(0);
  });
  it("says when the next attempt starts only while the job waits for it", () => {
    const attempts = [sampleAttempt(1, { outcome: "timed_out", retryAt })];
    expect(listedFromJob(job({ status: "retrying", attempts })).retryAt).toBe(retryAt);
    // A late answer of the first attempt ended the wait: the images are copied for the first time.
    const storing = listedFromJob(job({ status: "running", phase: "storing", attempts }));
    expect(storing.retryAt).toBeNull();
    expect(standingOf(storing, 0).detail).toBeNull();
  });
});

describe("the shape of a job's prints", () => {
  const models: Pick<ModelInfo, "model" | "sizes">[] = [
    { model: "m", sizes: { kind: "fixed", sizes: ["1664*928"], default: "1664*928" } },
    { model: "free", sizes: { kind: "sides", min: 512, max: 2048, default: null } },
  ];
  it("is as requested, else the model's default", () => {
    expect(sidesOfJob({ model: "m", size: "928*1664", output: null }, models)).toEqual({ width: 928, height: 1664 });
    expect(sidesOfJob({ model: "m", size: null, output: null }, models)).toEqual({ width: 1664, height: 928 });
  });
  it("is square while it is not known", () => {
    expect(shapeOf(sidesOfJob({ model: "free", size: null, output: null }, models))).toBe(1);
    expect(shapeOf(sidesOfJob({ model: "m", size: null, output: null }, []))).toBe(1);
  });
});

describe("sizes", () => {
  it("show the vendor's sizes by their ratio", () => {
    const five = ["1664*928", "1472*1104", "1328*1328", "1104*1472", "928*1664"];
    const labels = sizeChoices({ kind: "fixed", sizes: five, default: "1664*928" }).map(({ label }) => label);
    expect(labels).toEqual(["16:9", "4:3", "1:1", "3:4", "9:16"]);
    expect(ratioLabel(1000, 300)).toBe("1000×300");
  });
  it.each([
    { kind: "sides", min: 512, max: 2048, default: null },
    { kind: "area", minArea: 1280 ** 2, maxArea: 1440 ** 2, maxRatio: 4, named: [], default: "1280*1280" },
    { kind: "area", minArea: 512 ** 2, maxArea: 2048 ** 2, maxRatio: 8, named: [], default: null },
  ] satisfies ModelInfo["sizes"][])("offer only sizes that the model takes: $kind $minArea", (sizes) => {
    const choices = sizeChoices(sizes);
    expect(choices.length).toBeGreaterThan(4);
    for (const { size, width, height } of choices) {
      expect(sizeProblem(size, sizes)).toBeNull();
      expect([width % 16, height % 16]).toEqual([0, 0]);
    }
  });
  it("say what is wrong with a size", () => {
    expect(sizeProblem("400*1000", { kind: "sides", min: 512, max: 2048, default: null })).toMatch(/512 to 2048/);
    expect(sizeProblem("big", { kind: "sides", min: 512, max: 2048, default: null })).toMatch(/two numbers/);
  });
});

describe("typicalDurationMs", () => {
  const done = (seconds: number, attempts = 1) => ({
    model: "m",
    status: "succeeded" as const,
    attempts,
    startedAt: new Date(0).toISOString(),
    finishedAt: new Date(seconds * 1000).toISOString(),
  });
  it("is the lane's figure, when there is one", () => {
    expect(typicalDurationMs("m", [{ model: "m", typicalDurationMs: 9_000 }], [done(20)])).toBe(9_000);
  });
  it("is else the median of the finished jobs that needed one attempt", () => {
    expect(typicalDurationMs("m", [], [done(10), done(30), done(20), done(900, 3)])).toBe(20_000);
  });
  it("is a constant before any job has finished", () => {
    expect(typicalDurationMs("m", [{ model: "m", typicalDurationMs: null }], [])).toBe(FALLBACK_DURATION_MS);
  });
});

describe("the filter in the address", () => {
  it.each([
    "",
    "?show=canceled",
    "?show=ready&workflow=image-from-reference",
    "?model=qwen-image-max&q=%E9%9B%A8+red&until=2026-11-23&metadata=campaign%3Dautumn%3D1&pinned=true",
  ])("%j is written back unchanged", (search) => {
    expect(searchFromFilter(filterFromSearch(search))).toBe(search);
  });
  it.each([
    { key: "a=b", value: "c=d" },
    { key: "=", value: "" },
    { key: "100%", value: "50%3D" },
    { key: "100%3D", value: "%" },
    { key: "季节", value: "秋" },
  ])("the metadata entry %j is written back unchanged", (metadata) => {
    expect(filterFromSearch(searchFromFilter({ ...EVERYTHING, metadata })).metadata).toEqual(metadata);
  });
  it.each(["?show=toString", "?show=x&workflow=y", "?until=soon&metadata=x"])("%j means all", (search) => {
    expect(filterFromSearch(search)).toEqual(EVERYTHING);
  });
});

describe("what a filter shows", () => {
  const job = { ...LISTED, prompt: "Café au lait, 雨", metadata: { take: 2 }, createdAt: "2026-11-23T12:00:00.000Z" };
  it.each<[Partial<Filter>, boolean]>([
    [{}, true],
    [{ show: "ready" }, true],
    [{ show: "failed" }, false],
    [{ q: "LAIT cafe" }, true],
    [{ q: "雨" }, true],
    [{ q: "tea" }, false],
    [{ model: "another" }, false],
    [{ metadata: { key: "take", value: "2" } }, true],
    [{ metadata: { key: "take", value: "3" } }, false],
    [{ pinned: true }, false],
    [{ until: "2026-11-22" }, false],
    [{ until: "2026-11-24" }, true],
  ])("%j: %j", (narrowed, shown) => {
    expect(matcherOf({ ...EVERYTHING, ...narrowed })(job)).toBe(shown);
  });
});

describe("prints and zoom", () => {
  it("lay several prints out as large as they fit", () => {
    expect(sheetColumns(1, 1)).toBe(1);
    expect(sheetColumns(2, 16 / 9)).toBe(1);
    expect(sheetColumns(2, 9 / 16)).toBe(2);
    expect(sheetColumns(4, 1)).toBe(2);
    expect(sheetColumns(6, 1)).toBe(3);
  });
  it("fit without enlarging, and step back to fitting", () => {
    expect(fitScale({ width: 1000, height: 500 }, { width: 500, height: 500 })).toBe(0.5);
    expect(fitScale({ width: 100, height: 100 }, { width: 500, height: 500 })).toBe(1);
    expect(stepScale(0.4, 1, 0.4)).toBe(0.5);
    expect(stepScale(0.5, -1, 0.4)).toBe(FIT);
  });
});
