/** Checks a request against what its model takes. Pure. */
import type { JobRequest, Warning } from "../../schemas/job.ts";
import { sizesFor } from "../../schemas/limits.ts";
import type { Workflow } from "../../schemas/paths.ts";
import type { FieldError } from "../../schemas/problem.ts";
import type { ModelFacts, ModelTable } from "./models.ts";
import { REGION_NAMES, type Region } from "./wire.ts";

/** The parts of a request that depend on the model; of the images only the number matters. `null`: not given. */
export interface ModelRequest
  extends Pick<JobRequest, "prompt" | "negativePrompt" | "size" | "n" | "seed" | "promptExtend" | "watermark">,
    Partial<Pick<JobRequest, "promptExtendMode" | "thinking">> {
  readonly images: readonly unknown[];
}

export interface RequestCheck {
  /** Empty when upstream accepts the request, as far as is known. */
  readonly errors: readonly FieldError[];
  /** What upstream would do without reporting it. */
  readonly warnings: readonly Warning[];
}

/** A checked request's size: `1664*928`, with an asterisk. Other spellings were normalised before. */
const SIZE = /^([1-9]\d{0,4})\*([1-9]\d{0,4})$/;

/** Checks a normalised request. Paths are JSON Pointers of the request's own field names. */
export function checkAgainstModel(
  models: ModelTable,
  model: ModelFacts,
  workflow: Workflow,
  request: ModelRequest,
  region: Region,
): RequestCheck {
  if (!model.workflows.includes(workflow)) {
    const others = models.doing(workflow).join(", ");
    return {
      errors: [{ path: "/model", message: `${model.model} does not do ${workflow}; these do: ${others}` }],
      warnings: [],
    };
  }
  const errors: FieldError[] = [];
  if (request.size !== null && !takesSize(sizesFor(model, workflow), request.size)) {
    errors.push({ path: "/size", message: `${sizeRule(model, workflow)}; got ${request.size}` });
  }
  if (request.n > model.maxN) {
    errors.push({ path: "/n", message: `${countRule(model)}; ${request.n} were asked for` });
  }
  errors.push(...optionRefusals(model, request));
  if (workflow === "image-from-reference") {
    const { min, max } = model.images;
    const given = request.images.length;
    if (given < min || given > max) {
      errors.push({ path: "/images", message: `${model.model} takes ${min} to ${max} images; ${given} were given` });
    }
  }
  return { errors, warnings: warningsOf(model, request, region) };
}

/** Checks the sides of an uploaded image. `error` completes "the image …". */
export function checkInputSides(
  { model, inputSides }: ModelFacts,
  { width, height }: { readonly width: number; readonly height: number },
): { readonly error: string | null; readonly warnings: readonly Warning[] } {
  if (inputSides === null) return { error: null, warnings: [] };
  const { min, max, refuses } = inputSides;
  if (Math.min(width, height) >= min && Math.max(width, height) <= max) return { error: null, warnings: [] };
  const rule = `sides of ${min} to ${max} pixels`;
  if (refuses) return { error: `has ${width}*${height} pixels; ${model} takes ${rule}`, warnings: [] };
  const message = `upstream advises input images with ${rule}; this one has ${width}*${height}`;
  return { error: null, warnings: [{ code: "input_image_size", message }] };
}

/** How many images a model makes, as a sentence. */
export function countRule(model: ModelFacts): string {
  return `${model.model} makes ${model.maxN === 1 ? "one image a job" : `at most ${model.maxN} images a job`}`;
}

/** Which sizes a model takes for a workflow, as a sentence. */
export function sizeRule(model: ModelFacts, workflow: Workflow): string {
  const sizes = sizesFor(model, workflow);
  const name = model.model;
  switch (sizes.kind) {
    case "none":
      return `${name} takes no size: its output follows the last image`;
    case "fixed":
      return `${name} takes ${sizes.sizes.join(", ")}`;
    case "sides":
      return `${name} takes sides of ${sizes.min} to ${sizes.max} pixels`;
    case "area": {
      const least = Math.sqrt(sizes.minArea);
      const most = Math.sqrt(sizes.maxArea);
      const named = sizes.named.length === 0 ? "" : `${sizes.named.join(", ")}, or `;
      const images = model.sizesWithImages === null ? "" : workflow === "image-from-text" ? "" : " with input images";
      return `${name} takes ${named}between ${least}*${least} and ${most}*${most} pixels in all${images}, and sides of at most 1:${sizes.maxRatio}`;
    }
    default:
      throw new Error(`no such kind of sizes: ${JSON.stringify(sizes satisfies never)}`);
  }
}

function takesSize(sizes: ModelFacts["sizes"], size: string): boolean {
  if (sizes.kind === "area" && sizes.named.includes(size)) return true;
  const match = SIZE.exec(size);
  if (match === null) return false;
  const width = Number(match[1]);
  const height = Number(match[2]);
  switch (sizes.kind) {
    case "none":
      return false;
    case "fixed":
      return sizes.sizes.includes(size);
    case "sides":
      return Math.min(width, height) >= sizes.min && Math.max(width, height) <= sizes.max;
    case "area": {
      const area = width * height;
      const ratio = Math.max(width / height, height / width);
      return area >= sizes.minArea && area <= sizes.maxArea && ratio <= sizes.maxRatio;
    }
    default:
      throw new Error(`no such kind of sizes: ${JSON.stringify(sizes satisfies never)}`);
  }
}

const OPTIONS = ["negativePrompt", "promptExtend", "promptExtendMode", "thinking", "seed", "watermark"] as const;

/** Given options that the model does not have. */
function unsupported(model: ModelFacts, request: ModelRequest) {
  return OPTIONS.filter((name) => (request[name] ?? null) !== null && !model.supports[name]);
}

/** An option that is off has no effect on a model without it. Clients send it to every model. */
function isOff(request: ModelRequest, name: (typeof OPTIONS)[number]): boolean {
  return request[name] === false;
}

function optionRefusals(model: ModelFacts, request: ModelRequest): FieldError[] {
  const errors = unsupported(model, request)
    .filter((name) => !isOff(request, name))
    .map((name) => ({ path: `/${name}`, message: `${model.model} has no ${name}; leave it out` }));
  if (errors.length > 0) return errors;
  const needsExtending = model.thinkingParameter === "enable_thinking";
  if (needsExtending && request.thinking === true && request.promptExtend === false) {
    errors.push({ path: "/thinking", message: "thinking is a part of extending the prompt: it needs promptExtend" });
  }
  if (request.promptExtendMode === "agent" && request.images.length > 0) {
    errors.push({ path: "/promptExtendMode", message: "the mode agent is for requests without images; use direct" });
  }
  return errors;
}

function warningsOf(model: ModelFacts, request: ModelRequest, region: Region): Warning[] {
  const warnings: Warning[] = unsupported(model, request)
    .filter((name) => isOff(request, name))
    .map((name) => ({ code: "option_ignored", message: `${model.model} has no ${name}; it was left out` }));
  if (model.thinkingParameter === "thinking_mode" && request.thinking === true && request.images.length > 0) {
    const message = `${model.model} thinks only without input images; upstream ignores thinking here`;
    warnings.push({ code: "option_ignored", message });
  }
  const prompt = cutOff(request.prompt, model.promptMaxChars);
  if (prompt !== null) {
    warnings.push({ code: "prompt_too_long", message: cutMessage("prompt", model.promptMaxChars, prompt) });
  }
  const negative = cutOff(request.negativePrompt ?? "", model.negativePromptMaxChars);
  if (negative !== null) {
    const message = cutMessage("negative prompt", model.negativePromptMaxChars, negative);
    warnings.push({ code: "negative_prompt_too_long", message });
  }
  if (!model.regions.includes(region)) {
    const offered = model.regions.map((name) => REGION_NAMES[name]).join(" and ");
    // Only a warning: the vendor adds regions without notice, and its refusal costs nothing.
    warnings.push({
      code: "model_not_in_region",
      message: `${model.model} is listed for ${offered}, not for ${REGION_NAMES[region]}, which is set here: upstream may refuse it`,
    });
  }
  return warnings;
}

/** The text past the limit, counted in characters as upstream does, not in UTF-16 units; null when nothing is past it. */
function cutOff(text: string, maxChars: number): { chars: number; rest: string } | null {
  // A text never has more characters than units.
  if (text.length <= maxChars) return null;
  const chars = Array.from(text);
  return chars.length <= maxChars ? null : { chars: chars.length, rest: chars.slice(maxChars).join("") };
}

const QUOTED_CHARS = 40;

function cutMessage(what: string, maxChars: number, cut: { chars: number; rest: string }): string {
  const rest = Array.from(cut.rest.trim());
  const quoted = rest.length > QUOTED_CHARS ? `${rest.slice(0, QUOTED_CHARS).join("")}…` : rest.join("");
  return `the ${what} has ${cut.chars} characters and upstream promises to read ${maxChars}: it may cut all from “${quoted}” on`;
}
