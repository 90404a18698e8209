/** Looks models up. Pure. */
import type { ModelInfo, Quota } from "../../schemas/limits.ts";
import type { Workflow } from "../../schemas/paths.ts";
import type { QuotaOverride } from "../env.ts";
import { MODEL_TABLE, TWO_A_MINUTE } from "./model-table.ts";
import type { Region } from "./regions.ts";

/** Where a task of a model is submitted; named as in `wirePaths`. */
export type AsyncPath = "text2image" | "image2image" | "imageGeneration";

/** What is known of a model, the same for every deployment; `modelInfo` adds what a deployment decides. */
export interface ModelFacts extends Omit<ModelInfo, "default" | "asynchronous" | "quota"> {
  /** Null: synchronous only. Where both exist the task is used: its id survives us. */
  readonly asyncPath: AsyncPath | null;
  /** Where the vendor's price list has it. */
  readonly regions: readonly Region[];
  /** What upstream does when `prompt_extend` is left out; null where the model has no such option. */
  readonly promptExtendDefault: boolean | null;
  readonly quota: Quota;
  /** Where one region's quota differs. */
  readonly quotaIn?: Partial<Record<Region, Quota>>;
}

/** Every model that can be asked for. */
export const KNOWN_MODELS: readonly string[] = Object.keys(MODEL_TABLE);

/** The facts of a model; null for a name that is not in the table. */
export function modelFor(name: string): ModelFacts | null {
  const facts = Object.hasOwn(MODEL_TABLE, name) ? MODEL_TABLE[name] : undefined;
  return facts === undefined ? null : { model: name, ...facts };
}

/** The models that do a workflow, as a list for people. */
export function modelsDoing(workflow: Workflow): string[] {
  return KNOWN_MODELS.filter((name) => MODEL_TABLE[name]?.workflows.includes(workflow));
}

/**
 * The quota of a model's lane: the table's for the region, with the deployment's overrides laid over it, field by field.
 * A model that left the table (its jobs may still wait) gets the strictest known.
 */
export function quotaFor(name: string, overrides: Readonly<Record<string, QuotaOverride>>, region: Region): Quota {
  const facts = modelFor(name);
  const known = facts?.quotaIn?.[region] ?? facts?.quota ?? TWO_A_MINUTE;
  const override = Object.hasOwn(overrides, name) ? overrides[name] : undefined;
  return {
    starts: override?.starts ?? known.starts,
    periodMs: override?.periodMs ?? known.periodMs,
    inProgress: override?.inProgress !== undefined ? override.inProgress : known.inProgress,
  };
}

/** What a deployment decides about models: a part of `Config`. */
export interface ModelSettings {
  readonly models: Readonly<Record<Workflow, string>>;
  readonly laneLimits: Readonly<Record<string, QuotaOverride>>;
  readonly region: Region;
}

/** A model as `GET /api/limits` and the page's form show it. */
export function modelInfo(facts: ModelFacts, settings: ModelSettings): ModelInfo {
  const { asyncPath, regions: _regions, promptExtendDefault: _default, quotaIn: _quotaIn, ...shown } = facts;
  return {
    ...shown,
    default: facts.workflows.filter((workflow) => settings.models[workflow] === facts.model),
    asynchronous: asyncPath !== null,
    quota: quotaFor(facts.model, settings.laneLimits, settings.region),
  };
}

/** Every model that the vendor offers in the deployment's region, and its defaults, offered or not; defaults come first. */
export function modelInfos(settings: ModelSettings): ModelInfo[] {
  const infos: ModelInfo[] = [];
  for (const name of KNOWN_MODELS) {
    const facts = modelFor(name);
    if (facts === null) continue;
    const info = modelInfo(facts, settings);
    if (info.default.length > 0 || facts.regions.includes(settings.region)) infos.push(info);
  }
  return infos.sort((a, b) => b.default.length - a.default.length);
}
