import { z } from "zod";
import { findModel, type Model, type ModelQuota } from "./model-table.ts";

const PositiveMs = z.number().min(0).max(86_400_000);

export const QuotaChange = z.strictObject({
  starts: z.int().min(1).optional(),
  periodMs: z.number().min(1).optional(),
  inProgress: z.int().min(1).nullable().optional(),
});

/** Everything that can be set, at the start and at run time. */
export const Settings = z.strictObject({
  /** Typical time of one generation; the median of a log-normal distribution. */
  latencyMs: PositiveMs,
  /** Sigma of its logarithm; 0: always exactly `latencyMs`. */
  latencySpread: z.number().min(0).max(2),
  /** Upstream's own limit on a call, after which it answers 500 `RequestTimeOut`. */
  gatewayTimeoutMs: PositiveMs,
  /** `off`: nothing is ever throttled. */
  quota: z.enum(["off", "sliding", "fixed"]),
  /** Multiplies every period: 0.1 makes `2 a minute` into `2 in six seconds`. */
  quotaScale: z.number().min(0.0001).max(1000),
  /** By model, merged over the documented quota, before the scale. */
  quotas: z.record(z.string(), QuotaChange),
  /** Whether a refused call counts as a start. Upstream's behaviour is not known. */
  countRefused: z.boolean(),
  /** A task above the limit on running tasks waits as PENDING, or is refused with 429. */
  taskOverflow: z.enum(["queue", "refuse"]),
  /** What `max` and `plus` accept: the five documented sizes, or any sides from 512 to 1664 or to 2048, as tests of others found. */
  maxSizes: z.enum(["five", "1664", "2048"]),
  /** How an unknown model is refused: 404 with the code seen in 2026, or with the documented one. */
  unknownModel: z.enum(["InvalidParameter", "ModelNotFound"]),
  /** A 401 without `Content-Type`, as recorded in 2024; the SDK then reads no code. */
  headerless401: z.boolean(),
  /** Whether answers of `/tasks` lack the request id and gateway headers (recorded 2024), or have them. */
  taskHeaders: z.enum(["recorded", "gateway"]),
  /** A bad size, number or seed on a legacy path: the task is accepted and fails (documented), or is refused at once. */
  legacyBadParameters: z.enum(["fail-task", "refuse"]),
  /** Whether `text2image` works without the asynchronous header, for the models of which the SDK says so. */
  syncText2image: z.boolean(),
  /** The valid keys; null: every key that begins with `sk-`. */
  apiKeys: z.array(z.string().min(1)).min(1).nullable(),
  /** Keys of other regions: refused here, and valid under `/region/NAME` for reading tasks. Those regions have no tasks. */
  regionKeys: z.record(z.string(), z.array(z.string().min(1))),
  /** How long result links are valid; null: as recorded, by family (7 days or 1 day). */
  linkExpiryMs: z.number().min(0).nullable(),
  /** How long a finished task can be read. */
  taskKeptMs: PositiveMs,
  /** `drawn`: a picture of the prompt; `small-file`: one of a single colour, which costs nothing to make. */
  images: z.enum(["drawn", "small-file"]),
  /** Pads every image file to this size; null: no padding. */
  imageBytes: z.int().min(0).max(100_000_000).nullable(),
  /** The seed of latencies, draws of faults, and pictures of requests without a seed. */
  seed: z.int().min(0),
});
export type Settings = z.infer<typeof Settings>;

/** The defaults: latencies for people, quotas as documented. */
export const DEFAULT_SETTINGS: Settings = {
  latencyMs: 4000,
  latencySpread: 0.35,
  gatewayTimeoutMs: 298_000,
  quota: "sliding",
  quotaScale: 1,
  quotas: {},
  countRefused: false,
  taskOverflow: "queue",
  maxSizes: "five",
  unknownModel: "InvalidParameter",
  headerless401: false,
  taskHeaders: "recorded",
  legacyBadParameters: "fail-task",
  syncText2image: true,
  apiKeys: null,
  regionKeys: {},
  linkExpiryMs: null,
  taskKeptMs: 86_400_000,
  images: "drawn",
  imageBytes: null,
  seed: 1,
};

/** A change of some settings. */
export const SettingsPatch = Settings.partial();
export type SettingsPatch = z.infer<typeof SettingsPatch>;

/** The quota in force for a model; null when quotas are off. */
export function quotaOf(settings: Settings, model: Model): ModelQuota | null {
  if (settings.quota === "off") return null;
  const change = settings.quotas[model.name] ?? {};
  const { starts, periodMs, inProgress } = model.quota;
  return {
    starts: change.starts ?? starts,
    periodMs: (change.periodMs ?? periodMs) * settings.quotaScale,
    inProgress: change.inProgress === undefined ? inProgress : change.inProgress,
  };
}

/** Names in `quotas` that no model has. Such a typing mistake would otherwise have no visible effect. */
export function unknownQuotaModels(settings: SettingsPatch): string[] {
  return Object.keys(settings.quotas ?? {}).filter((name) => findModel(name) === null);
}
