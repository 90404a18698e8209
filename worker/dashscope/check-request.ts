/** Checks a request against what its model takes. Pure. */
import type { JobRequest, Warning } from "../../schemas/job.ts";
import type { Workflow } from "../../schemas/paths.ts";
import type { FieldError } from "../../schemas/problem.ts";
import { type ModelFacts, modelsDoing } from "./models.ts";
import { REGION_NAMES, type Region } from "./regions.ts";

/** What of a request depends on the model; of the images only how many. `null`: not given. */
export interface ModelRequest
  extends Pick<JobRequest, "prompt" | "negativePrompt" | "size" | "n" | "seed" | "promptExtend" | "watermark"> {
  readonly images: readonly unknown[];
}

export interface RequestCheck {
  /** Empty: upstream takes the request as far as is known. */
  readonly errors: readonly FieldError[];
  /** What upstream would do without a word. */
  readonly warnings: readonly Warning[];
}

/** A checked request's size: `1664*928`, with an asterisk; other spellings are normalised before. */
const SIZE = /^([1-9]\d{0,4})\*([1-9]\d{0,4})$/;

/** Checks a normalised request. Paths are JSON Pointers of the request's own field names. */
export function checkAgainstModel(
  model: ModelFacts,
  workflow: Workflow,
  request: ModelRequest,
  region: Region,
): RequestCheck {
  const errors: FieldError[] = [];
  if (!model.workflows.includes(workflow)) {
    const others = modelsDoing(workflow).join(", ");
    return {
      errors: [{ path: "/model", message: `${model.model} does not do ${workflow}; these do: ${others}` }],
      warnings: [],
    };
  }
  if (request.size !== null && !takesSize(model, request.size)) {
    errors.push({ path: "/size", message: `${sizeRule(model)}; got ${request.size}` });
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

/** How many images a model makes, as a sentence. */
export function countRule(model: ModelFacts): string {
  return `${model.model} makes ${model.maxN === 1 ? "one image a job" : `at most ${model.maxN} images a job`}`;
}

/** Which sizes a model takes, as a sentence. */
export function sizeRule({ model, sizes }: ModelFacts): string {
  switch (sizes.kind) {
    case "none":
      return `${model} takes no size: its output follows the last image`;
    case "fixed":
      return `${model} takes ${sizes.sizes.join(", ")}`;
    case "sides":
      return `${model} takes sides of ${sizes.min} to ${sizes.max} pixels`;
    case "area": {
      const least = Math.sqrt(sizes.minArea);
      const most = Math.sqrt(sizes.maxArea);
      return `${model} takes between ${least}*${least} and ${most}*${most} pixels in all, and sides of at most 1:${sizes.maxRatio}`;
    }
    default:
      throw new Error(`no such kind of sizes: ${JSON.stringify(sizes satisfies never)}`);
  }
}

function takesSize({ sizes }: ModelFacts, size: string): boolean {
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

const OPTIONS = ["negativePrompt", "promptExtend", "seed", "watermark"] as const;

function optionRefusals(model: ModelFacts, request: ModelRequest): FieldError[] {
  return OPTIONS.filter((name) => request[name] !== null && !model.supports[name]).map((name) => ({
    path: `/${name}`,
    message: `${model.model} has no ${name}; leave it out`,
  }));
}

function warningsOf(model: ModelFacts, request: ModelRequest, region: Region): Warning[] {
  const warnings: Warning[] = [];
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
    // Not an error: the vendor widens its regions without notice, and a refusal by it costs nothing.
    warnings.push({
      code: "model_not_in_region",
      message: `${model.model} is listed for ${offered}, not for ${REGION_NAMES[region]}, which is set here: upstream may refuse it`,
    });
  }
  return warnings;
}

/** What lies past the limit, counted as upstream does, in characters and not UTF-16 units; null when nothing does. */
function cutOff(text: string, maxChars: number): { chars: number; rest: string } | null {
  // Never more characters than units.
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
