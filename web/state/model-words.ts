import { type LaneReport, type ModelInfo, type Quota, sizesFor } from "../../schemas/limits.ts";
import type { Workflow } from "../../schemas/paths.ts";
import type { Draft } from "./draft.ts";
import { moneyWords } from "./money-words.ts";
import { asSentence } from "./sentence.ts";
import { ratioLabel, sidesOf } from "./sizes.ts";
import { countdownWords, durationWords } from "./time-words.ts";

/** A quota in words: `2 starts a minute`, `5 starts a second, 2 at a time`. */
export function quotaWords(quota: Quota): string {
  const starts = quota.starts === 1 ? "1 start" : `${quota.starts} starts`;
  const bound = quota.inProgress === null ? "" : `, ${quota.inProgress} at a time`;
  return `${starts} ${periodWords(quota.periodMs)}${bound}`;
}

/** `a minute`, `in 5 s`. */
export function periodWords(periodMs: number): string {
  if (periodMs === 1000) return "a second";
  if (periodMs === 60_000) return "a minute";
  if (periodMs === 3_600_000) return "an hour";
  return `in ${periodMs % 1000 === 0 ? countdownWords(periodMs) : durationWords(periodMs)}`;
}

const PRICE_WORDS: Readonly<Record<ModelInfo["priceClass"], string>> = {
  low: "lower price",
  medium: "middle price",
  high: "highest price",
};

/** The price of an image of a model: `about $0.08 an image`; its price class where the price is not known. */
export function priceWords({ price, priceClass }: Pick<ModelInfo, "price" | "priceClass">): string {
  return price === null
    ? `${PRICE_WORDS[priceClass]} per image`
    : `about ${moneyWords(price.perImage, price.currency)} an image`;
}

/** The models of a workflow, its default first. */
export function modelsFor(workflow: Workflow, models: readonly ModelInfo[]): ModelInfo[] {
  const doing = models.filter((model) => model.workflows.includes(workflow));
  return doing.sort((a, b) => Number(b.default.includes(workflow)) - Number(a.default.includes(workflow)));
}

/** The model of a draft: the chosen one if it supports the workflow, else the workflow's default; null before any is known. */
export function chosenModel(workflow: Workflow, name: string | null, models: readonly ModelInfo[]): ModelInfo | null {
  const doing = modelsFor(workflow, models);
  return doing.find((model) => model.model === name) ?? doing[0] ?? null;
}

/**
 * When a job that is submitted now would start, in one sentence. `nowMs` by the server's clock. The estimate is rough on
 * purpose: the job itself gets the lane's own estimate.
 */
export function laneOutlook(lane: LaneReport | undefined, nowMs: number): string {
  if (lane === undefined) return "Nothing in line: starts at once.";
  if (lane.mode === "blocked" || lane.blocked !== null) return "On hold: jobs wait until upstream takes calls again.";
  const { paused = null } = lane;
  if (paused !== null) return `Paused by the operator: ${asSentence(paused.reason)}`;
  const line = lane.queued === 0 ? "Nothing in line" : `${lane.queued} in line`;
  const freeAtMs = lane.nextStartAt === null ? nowMs : Date.parse(lane.nextStartAt);
  const perStartMs = lane.startsPerMinute > 0 ? 60_000 / lane.startsPerMinute : 0;
  const waitMs = Math.max(0, freeAtMs - nowMs) + lane.queued * perStartMs;
  if (waitMs < 1000) return `${line}: starts at once.`;
  return `${line}: starts in about ${countdownWords(waitMs)}${waitReason(lane)}.`;
}

/** The text in its place while the server cannot be reached. */
export const CUT_OFF_OUTLOOK = "The server is out of reach: when a job would start is not known now.";

/** Why a job must wait, where the length of the line does not explain it. */
function waitReason({ pace, queued }: LaneReport): string {
  if (pace < 1) return `, since upstream throttled: the lane is at ${Math.round(pace * 100)} % of its pace`;
  return queued === 0 ? ", when the quota allows the next start" : "";
}

/** A summary of a draft's settings while they are folded away: `16:9 · 2 images · seed 42 · qwen-image-max`. */
export function settingsWords(draft: Draft, model: ModelInfo): string {
  const parts: string[] = [];
  const sizes = sizesFor(model, draft.workflow);
  if (sizes.kind !== "none") {
    const sides = sidesOf(draft.size ?? sizes.default ?? "");
    parts.push(sides === null ? "size left open" : ratioLabel(sides.width, sides.height));
  }
  const count = Math.min(draft.n, model.maxN);
  if (count > 1) parts.push(`${count} images`);
  if (model.supports.seed && draft.seed.trim() !== "") parts.push(`seed ${draft.seed.trim()}`);
  parts.push(model.model);
  return parts.join(" · ");
}
