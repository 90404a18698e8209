/** Metrics as Prometheus reads them (text format 0.0.4). Pure. */
import type { LaneMetrics } from "../../lane/contract.ts";
import { ATTEMPT_BUCKETS_SECONDS, type Durations, WAIT_BUCKETS_SECONDS } from "../../lane/core/tally.ts";

export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly labels: Labels;
  readonly value: number;
  /** Of a histogram's parts: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string;
}

interface Family {
  readonly name: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
    return `${name}="${escaped}"`;
  });
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function familyText({ name, type, help, samples }: Family): string {
  const lines = samples.map(({ labels, value, suffix = "" }) => `${name}${suffix}${labelText(labels)} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");
}

function histogram(labels: Labels, ends: readonly number[], { buckets, seconds: sum }: Durations): Sample[] {
  let count = 0;
  const samples = [...ends.map(String), "+Inf"].map((le, at) => {
    count += buckets[at] ?? 0;
    return { suffix: "_bucket", labels: { ...labels, le }, value: count };
  });
  return [...samples, { suffix: "_sum", labels, value: sum }, { suffix: "_count", labels, value: count }];
}

/** The metrics of these lanes. A lane that did not answer is absent. */
export function metricsText(lanes: readonly LaneMetrics[]): string {
  const families: Family[] = [
    {
      name: "darkroom_up",
      type: "gauge",
      help: "1 while the service is configured and answers.",
      samples: [{ labels: {}, value: 1 }],
    },
    {
      name: "darkroom_lane_jobs",
      type: "gauge",
      help: "Jobs of a lane: queued, or running upstream.",
      samples: lanes.flatMap(({ report: { model, queued, inProgress } }) => [
        { labels: { model, state: "queued" }, value: queued },
        { labels: { model, state: "running" }, value: inProgress },
      ]),
    },
    {
      name: "darkroom_lane_oldest_wait_seconds",
      type: "gauge",
      help: "How long the job of a lane waits that waits longest; 0 when none does.",
      samples: lanes.map(({ report: { model }, oldestWaitMs }) => ({ labels: { model }, value: oldestWaitMs / 1000 })),
    },
    {
      name: "darkroom_lane_starts_per_minute",
      type: "gauge",
      help: "Starts per minute of a lane: its quota, and what it has learned that upstream accepts.",
      samples: lanes.flatMap(({ report: { model, quota, startsPerMinute } }) => [
        { labels: { model, kind: "quota" }, value: (quota.starts * 60_000) / quota.periodMs },
        { labels: { model, kind: "learned" }, value: startsPerMinute },
      ]),
    },
    {
      name: "darkroom_lane_blocked",
      type: "gauge",
      help: "1 while upstream refuses the account or the key, with its code; 0 with an empty code while it does not.",
      samples: lanes.map(({ report: { model, blocked } }) => ({
        labels: { model, code: blocked?.code ?? "" },
        value: blocked === null ? 0 : 1,
      })),
    },
    {
      name: "darkroom_lane_paused",
      type: "gauge",
      help: "1 while the operator pauses the lane.",
      samples: lanes.map(({ report: { model, paused } }) => ({
        labels: { model },
        value: paused === null || paused === undefined ? 0 : 1,
      })),
    },
    {
      name: "darkroom_attempts_total",
      type: "counter",
      help: "Attempts upstream by how they ended, since the lane was first used.",
      samples: lanes.flatMap(({ report: { model }, tally }) =>
        Object.entries(tally.attempts).map(([outcome, value]) => ({ labels: { model, outcome }, value })),
      ),
    },
    {
      name: "darkroom_attempt_seconds",
      type: "histogram",
      help: "Seconds that an attempt held its lease.",
      samples: lanes.flatMap(({ report: { model }, tally }) => histogram({ model }, ATTEMPT_BUCKETS_SECONDS, tally)),
    },
    {
      name: "darkroom_queue_wait_seconds",
      type: "histogram",
      help: "Seconds from joining the queue to the start of an attempt, counted when the attempt is over.",
      samples: lanes.flatMap(({ report: { model }, tally }) => histogram({ model }, WAIT_BUCKETS_SECONDS, tally.waits)),
    },
  ];
  return families.map(familyText).join("");
}
