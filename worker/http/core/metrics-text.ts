/** Metrics as Prometheus reads them (text format 0.0.4). Pure. */
import type { ClientMetrics } from "../../catalog/contract.ts";
import type { LaneMetrics } from "../../lane/contract.ts";
import { ATTEMPT_BUCKETS_SECONDS, type Durations, WAIT_BUCKETS_SECONDS } from "../../lane/core/tally.ts";
import { fromMicros } from "../../spend/core/money.ts";
import { TRY_RESULTS } from "../../webhooks/core/delivery.ts";

export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly labels: Labels;
  readonly value: number;
  /** The suffix of a histogram's part: `_bucket`, `_sum`, `_count`. */
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

/** One client's metrics; null when its catalog did not answer. */
export interface ClientSamples {
  readonly client: string;
  readonly metrics: ClientMetrics | null;
}

/** Sums over all clients. There are none when a catalog did not answer, because a smaller sum looks like a counter reset. */
function deliverySamples(clients: readonly ClientSamples[]): Sample[] {
  const counts = clients.flatMap(({ metrics }) => metrics?.deliveries ?? []);
  if (counts.length < clients.length) return [];
  return TRY_RESULTS.map((result) => ({
    labels: { result },
    value: counts.reduce((sum, each) => sum + (each[result] ?? 0), 0),
  }));
}

/** The metrics of these lanes and clients. A lane that did not answer is absent. */
export function metricsText(lanes: readonly LaneMetrics[], clients: readonly ClientSamples[]): string {
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
    {
      name: "darkroom_spend_total",
      // Falls at the end of a month, and when an attempt at risk turns out not to be billed.
      type: "gauge",
      help: "Money of a client in this UTC month, in the deployment's currency: charged, reserved and at_risk.",
      samples: clients.flatMap(({ client, metrics }) => {
        if (metrics === null) return [];
        const { chargedMicros, reservedMicros, atRiskMicros } = metrics.spend;
        const kinds = { charged: chargedMicros, reserved: reservedMicros, at_risk: atRiskMicros };
        return Object.entries(kinds).map(([kind, micros]) => ({ labels: { client, kind }, value: fromMicros(micros) }));
      }),
    },
    {
      name: "darkroom_webhook_deliveries_total",
      type: "counter",
      help: "Tries to deliver a webhook: delivered, retried (failed, another one follows), failed (none does) and gone (410).",
      samples: deliverySamples(clients),
    },
  ];
  return families.map(familyText).join("");
}
