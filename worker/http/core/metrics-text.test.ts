import { parser as promql } from "@prometheus-io/lezer-promql";
// @ts-expect-error The package comes without types.
import parse from "parse-prometheus-text-format";
import { describe, expect, it } from "vitest";
import { parse as parseYaml } from "yaml";
import { paths } from "../../../schemas/paths.ts";
import { codeBlocks } from "../../../test/support/code-blocks.ts";
import type { LaneMetrics } from "../../lane/contract.ts";
import { NO_TALLY, tallied, withWait } from "../../lane/core/tally.ts";
import { type ClientSamples, metricsText } from "./metrics-text.ts";

const report: LaneMetrics["report"] = {
  model: "qwen-image-max",
  quota: { starts: 2, periodMs: 60_000, inProgress: null },
  pace: 0.7,
  startsPerMinute: 1.4,
  mode: "open",
  queued: 5,
  inProgress: 2,
  nextStartAt: null,
  typicalDurationMs: null,
  blocked: null,
  paused: null,
  limit: null,
};
const blocked = { code: 'Odd"code\\', hint: "", since: "2026-11-28T08:00:00Z", nextProbeAt: "2026-11-28T09:01:00Z" };
const paused = { reason: "moving", since: "2026-11-28T08:00:00Z", until: null };

const lanes: LaneMetrics[] = [
  {
    report,
    tally: withWait(tallied(tallied(NO_TALLY, "succeeded", 20_000), "throttled", null), 400_000),
    oldestWaitMs: 90_500,
  },
  { report: { ...report, model: "wan2.6-t2i", blocked, paused }, tally: NO_TALLY, oldestWaitMs: 0 },
];

const spend = { chargedMicros: 1_275_000, reservedMicros: 75_000, atRiskMicros: 0 };
const clients: ClientSamples[] = [
  { client: "my-app", metrics: { spend, deliveries: { delivered: 3, retried: 2 } } },
  { client: "other", metrics: { spend: { ...spend, chargedMicros: 0 }, deliveries: { delivered: 1, gone: 1 } } },
];

interface Rule {
  readonly alert: string;
  readonly expr: string;
}

interface Parsed {
  readonly name: string;
  readonly type: string;
  readonly metrics: readonly {
    readonly labels?: Readonly<Record<string, string>>;
    readonly value?: string;
    readonly buckets?: Readonly<Record<string, string>>;
  }[];
}

const parsed: readonly Parsed[] = parse(metricsText(lanes, clients));
const family = (name: string) => parsed.find((each) => each.name === name);

describe("metrics", () => {
  it("are read by a parser of Prometheus's format, as gauges, counters and a histogram", () => {
    expect(parsed.map(({ name, type }) => [name, type])).toEqual([
      ["darkroom_up", "GAUGE"],
      ["darkroom_lane_jobs", "GAUGE"],
      ["darkroom_lane_oldest_wait_seconds", "GAUGE"],
      ["darkroom_lane_starts_per_minute", "GAUGE"],
      ["darkroom_lane_blocked", "GAUGE"],
      ["darkroom_lane_paused", "GAUGE"],
      ["darkroom_attempts_total", "COUNTER"],
      ["darkroom_attempt_seconds", "HISTOGRAM"],
      ["darkroom_queue_wait_seconds", "HISTOGRAM"],
      ["darkroom_spend_total", "GAUGE"],
      ["darkroom_webhook_deliveries_total", "COUNTER"],
    ]);
  });

  it("have for each lane what waits and runs, its pace, and what holds it", () => {
    expect(family("darkroom_lane_jobs")?.metrics).toContainEqual({
      labels: { model: "qwen-image-max", state: "queued" },
      value: "5",
    });
    expect(family("darkroom_lane_oldest_wait_seconds")?.metrics.map(({ value }) => value)).toEqual(["90.5", "0"]);
    const pace = family("darkroom_lane_starts_per_minute")?.metrics;
    expect(pace).toContainEqual({ labels: { model: "qwen-image-max", kind: "quota" }, value: "2" });
    expect(pace).toContainEqual({ labels: { model: "qwen-image-max", kind: "learned" }, value: "1.4" });
    expect(family("darkroom_lane_blocked")?.metrics.map(({ value }) => value)).toEqual(["0", "1"]);
    expect(family("darkroom_lane_paused")?.metrics.map(({ value }) => value)).toEqual(["0", "1"]);
  });

  it("count attempts by outcome and by duration, in cumulative buckets", () => {
    expect(family("darkroom_attempts_total")?.metrics).toEqual([
      { labels: { model: "qwen-image-max", outcome: "succeeded" }, value: "1" },
      { labels: { model: "qwen-image-max", outcome: "throttled" }, value: "1" },
    ]);
    const lines = metricsText(lanes, clients).split("\n");
    expect(lines).toContain('darkroom_attempt_seconds_sum{model="qwen-image-max"} 20');
    expect(lines).toContain('darkroom_attempt_seconds_count{model="qwen-image-max"} 1');
    // One lane only, because the parser keeps one histogram for each name.
    const alone: readonly Parsed[] = parse(metricsText(lanes.slice(0, 1), []));
    const bucketsOf = (wanted: string) => alone.find(({ name }) => name === wanted)?.metrics[0]?.buckets;
    expect(bucketsOf("darkroom_attempt_seconds")).toMatchObject({ "10": "0", "20": "1", "300": "1", "+Inf": "1" });
    expect(bucketsOf("darkroom_queue_wait_seconds")).toMatchObject({
      "300": "0",
      "900": "1",
      "86400": "1",
      "+Inf": "1",
    });
    expect(lines).toContain('darkroom_queue_wait_seconds_sum{model="qwen-image-max"} 400');
  });

  it("show the money of each client, and the tries of all webhooks by result", () => {
    expect(family("darkroom_spend_total")?.metrics).toEqual([
      { labels: { client: "my-app", kind: "charged" }, value: "1.275" },
      { labels: { client: "my-app", kind: "reserved" }, value: "0.075" },
      { labels: { client: "my-app", kind: "at_risk" }, value: "0" },
      { labels: { client: "other", kind: "charged" }, value: "0" },
      { labels: { client: "other", kind: "reserved" }, value: "0.075" },
      { labels: { client: "other", kind: "at_risk" }, value: "0" },
    ]);
    expect(family("darkroom_webhook_deliveries_total")?.metrics).toEqual([
      { labels: { result: "delivered" }, value: "4" },
      { labels: { result: "retried" }, value: "2" },
      { labels: { result: "failed" }, value: "0" },
      { labels: { result: "gone" }, value: "1" },
    ]);
  });

  it("show no sum over all clients while one of them does not answer", () => {
    const silent: ClientSamples[] = [...clients, { client: "silent", metrics: null }];
    const lines = metricsText(lanes, silent).split("\n");
    expect(lines.filter((line) => line.startsWith("darkroom_webhook_deliveries_total"))).toEqual([]);
    expect(lines.filter((line) => line.startsWith("darkroom_spend_total"))).toHaveLength(6);
  });

  it("have every name and label that the alert rules of the operations page use, and the rules are PromQL", () => {
    const blocks = codeBlocks("docs/operations.md").filter(({ info }) => info === "yaml");
    const documents = blocks.map(({ code }) => parseYaml(code) as { groups?: { rules: Rule[] }[] });
    expect(documents).toContainEqual({ scrape_configs: [expect.objectContaining({ metrics_path: paths.metrics })] });
    const rules = documents.flatMap(({ groups = [] }) => groups.flatMap((group) => group.rules));
    expect(rules.map(({ alert }) => alert)).toHaveLength(3);
    for (const { alert, expr } of rules) {
      const asked: string[] = [];
      promql.parse(expr).iterate({
        enter: ({ type, from, to }) => {
          expect(type.isError, `${alert} at ${from}`).toBe(false);
          if (type.name === "VectorSelector") asked.push(expr.slice(from, to));
        },
      });
      expect(asked.length).toBeGreaterThan(0);
      for (const selector of asked) {
        const [name = "", label] = selector.split(/[{=}~]+/);
        expect(family(name)?.metrics[0]?.labels, selector).toHaveProperty(label ?? "model");
      }
    }
  });
});
