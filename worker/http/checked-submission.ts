import type { JobRequest, Metadata, Warning } from "../../schemas/job.ts";
import type { Workflow } from "../../schemas/paths.ts";
import type { FieldError } from "../../schemas/problem.ts";
import { MAX_SEED, type TextSubmit } from "../../schemas/submit.ts";
import type { WebhookTarget } from "../../schemas/webhook.ts";
import { checkAgainstModel, countRule, sizeRule } from "../dashscope/check-request.ts";
import type { ModelFacts, ModelTable } from "../dashscope/models.ts";
import type { Config } from "../env.ts";
import type { LeftOut } from "../job/contract.ts";
import { faultsProblem, type ProblemError } from "./answers.ts";
import type { Found, GivenImage } from "./core/given-fields.ts";
import { type NormaliseAnswer, normaliseSubmit } from "./core/normalise-submit.ts";

/** A submission that its model takes. Of its images only the number is known so far. */
export interface CheckedSubmission {
  readonly workflow: Workflow;
  readonly model: string;
  readonly facts: ModelFacts;
  /** The job's request without its images. */
  readonly request: Omit<JobRequest, "images">;
  readonly leftOut: readonly LeftOut[];
  readonly sources: readonly (string | GivenImage)[];
  readonly metadata: Metadata;
  /** As the client gave it: the address is not checked yet. */
  readonly webhook: WebhookTarget | null;
  readonly warnings: readonly Warning[];
  /** Where the client wrote a field, for errors that are found later. */
  pointerOf(path: string): string;
}

const FILLED_IN = [
  "model",
  "n",
  "seed",
  "maxAttempts",
  "deadlineSeconds",
  "webhook",
] as const satisfies readonly LeftOut[];

const invalid = (errors: readonly FieldError[]): ProblemError =>
  faultsProblem("invalid_request", errors, (path) => (path === "" ? "The body" : path));

/** A seed, drawn uniformly from those that upstream takes. */
function drawnSeed(): number {
  const [drawn = 0] = crypto.getRandomValues(new Uint32Array(1));
  return drawn % (MAX_SEED + 1);
}

function requestOf(submit: TextSubmit, model: ModelFacts, config: Config): Omit<JobRequest, "images"> {
  return {
    prompt: submit.prompt,
    negativePrompt: submit.negativePrompt ?? null,
    size: submit.size ?? null,
    n: submit.n ?? model.defaultN,
    // Drawn here and not by upstream, so that every result can be made again.
    seed: submit.seed ?? (model.supports.seed ? drawnSeed() : null),
    promptExtend: submit.promptExtend ?? null,
    promptExtendMode: submit.promptExtendMode ?? null,
    thinking: submit.thinking ?? null,
    watermark: submit.watermark ?? null,
    priority: submit.priority ?? "normal",
    maxAttempts: submit.maxAttempts ?? config.maxAttempts,
    deadlineSeconds: submit.deadlineSeconds ?? config.jobDeadlineSeconds,
    onUncertain: submit.onUncertain ?? "retry",
  };
}

/** The errors; those about a size or a number of images also say what the model takes. */
function withModelRules(
  { errors, model: given, pointerOf }: Extract<NormaliseAnswer, { ok: false }>,
  workflow: Workflow,
  { modelTable, models }: Config,
): FieldError[] {
  const model = modelTable.facts(typeof given === "string" ? given : models[workflow]);
  if (model === null) return [...errors];
  const rules = new Map([
    [pointerOf("/size"), sizeRule(model, workflow)],
    [pointerOf("/n"), countRule(model)],
  ]);
  return errors.map(({ path, message }) => {
    const rule = rules.get(path);
    return { path, message: rule === undefined ? message : `${message}; ${rule}` };
  });
}

/** Some clients add `-latest` to ask for the newest snapshot: the vendor calls `qwen-image-max-latest` simply `qwen-image-max`. */
function knownName(model: string, models: ModelTable): string {
  const plain = model.replace(/-latest$/, "");
  return models.facts(model) === null && models.facts(plain) !== null ? plain : model;
}

/** The submission with every default filled in. Throws a problem that names each wrong field. */
export function checkSubmission(workflow: Workflow, found: Found, config: Config): CheckedSubmission {
  const normal = normaliseSubmit(workflow, found);
  if (!normal.ok) throw invalid(withModelRules(normal, workflow, config));
  const { submit, pointerOf } = normal;
  const { modelTable } = config;
  const name = knownName(submit.model ?? config.models[workflow], modelTable);
  const model = modelTable.facts(name);
  if (model === null) {
    throw invalid([
      {
        path: pointerOf("/model"),
        message: `is not a known model; ${workflow} is done by ${modelTable.doing(workflow).join(", ")}`,
      },
    ]);
  }
  const request = requestOf(submit, model, config);
  const checked = checkAgainstModel(modelTable, model, workflow, { ...request, images: submit.images }, config.region);
  if (checked.errors.length > 0) {
    throw invalid(checked.errors.map(({ path, message }) => ({ path: pointerOf(path), message })));
  }
  return {
    workflow,
    model: name,
    facts: model,
    request,
    leftOut: FILLED_IN.filter((field) => submit[field] === undefined),
    sources: submit.images,
    metadata: submit.metadata ?? {},
    webhook: submit.webhook ?? null,
    warnings: [...normal.warnings, ...checked.warnings],
    pointerOf,
  };
}
