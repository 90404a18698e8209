/** Checks a submission in upstream's order: JSON, key, model, async support, [quota], parameters. Pure. */
import { MessagesRequest, PromptRequest } from "../../worker/dashscope/wire.ts";
import { NO_SUCH_MODEL, refusalOf, type WireRefusal } from "./error-table.ts";
import { type MaxSizes, sizeFault } from "./image-size.ts";
import { type AsyncPath, findModel, type Model } from "./model-table.ts";
import type { Settings } from "./settings.ts";

/** The path of a submission. */
export type Endpoint = "multimodalGeneration" | AsyncPath;

export interface Submission {
  readonly endpoint: Endpoint;
  readonly authorization: string | null;
  readonly asyncHeader: string | null;
  /** `undefined`: the body is not JSON. */
  readonly json: unknown;
}

/** What one generation must make. */
export interface WorkOrder {
  readonly prompt: string;
  readonly negativePrompt: string | null;
  /** Addresses and data URLs, in order. */
  readonly images: readonly string[];
  /** `width*height` as requested; null: the model decides. */
  readonly size: string | null;
  readonly n: number;
  readonly seed: number | null;
  readonly promptExtend: boolean;
  readonly watermark: boolean;
}

export type Checked<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly refusal: WireRefusal };

const MAX_SEED = 2_147_483_647;
const SYNC_UNSUPPORTED = "current user api does not support synchronous calls";
const ASYNC_UNSUPPORTED = "current user api does not support asynchronous calls";
const WRONG_PATH =
  "url error, please check url! For details, see: https://help.aliyun.com/zh/model-studio/error-code#invalid-parameter";

const refuse = (code: string, message?: string): { readonly ok: false; readonly refusal: WireRefusal } => ({
  ok: false,
  refusal: refusalOf(code, message),
});

/** `undefined` when the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The bearer key of a header; null when there is none. */
export function bearerKey(authorization: string | null): string | null {
  return /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1] ?? null;
}

type KeySettings = Pick<Settings, "apiKeys" | "regionKeys">;

/** Why a key is refused in this region, or in another region that the emulator simulates. */
export function keyRefusal(
  key: string | null,
  settings: KeySettings,
  region: string | null = null,
): WireRefusal | null {
  if (key === null) return refusalOf("InvalidApiKey", "No API-key provided.");
  const { apiKeys, regionKeys } = settings;
  const isForeign = Object.values(regionKeys).flat().includes(key);
  const isOwn = apiKeys === null ? key.startsWith("sk-") && !isForeign : apiKeys.includes(key);
  const known = region === null ? isOwn : (regionKeys[region] ?? []).includes(key);
  return known ? null : refusalOf("InvalidApiKey");
}

/** The model and the prompt of an unchecked body, as far as they can be read. */
export function peek(json: unknown): { readonly model: string | null; readonly prompt: string | null } {
  const messages = MessagesRequest.safeParse(json);
  if (messages.success) {
    const texts = messages.data.input.messages.flatMap((message) => message.content.flatMap(({ text }) => text ?? []));
    return { model: messages.data.model, prompt: texts[0] ?? null };
  }
  const prompted = PromptRequest.safeParse(json);
  if (prompted.success) return { model: prompted.data.model, prompt: prompted.data.input.prompt };
  const model = typeof json === "object" && json !== null && "model" in json ? json.model : null;
  return { model: typeof model === "string" ? model : null, prompt: null };
}

/** Whether a submission asks for a task. */
export function wantsTask({ asyncHeader }: Submission): boolean {
  return asyncHeader?.toLowerCase() === "enable";
}

/** Checks JSON, key, model and its support of this path: everything before the quota. */
export function checkFront(
  submission: Submission,
  settings: KeySettings & Pick<Settings, "unknownModel" | "syncText2image">,
): Checked<Model> {
  const { json, endpoint } = submission;
  if (json === undefined) return refuse("BadRequest.IllegalInput");
  const keyFault = keyRefusal(bearerKey(submission.authorization), settings);
  if (keyFault !== null) return { ok: false, refusal: keyFault };
  const name = peek(json).model;
  if (name === null || name === "") return refuse("BadRequest.EmptyModel");
  const model = findModel(name);
  if (model === null) return { ok: false, refusal: refusalOf(settings.unknownModel, NO_SUCH_MODEL, 404) };
  const asTask = wantsTask(submission);
  if (endpoint === "multimodalGeneration") {
    if (asTask) return refuse("AccessDenied", ASYNC_UNSUPPORTED);
    return model.sync ? { ok: true, value: model } : refuse("AccessDenied", SYNC_UNSUPPORTED);
  }
  const worksAtOnce = settings.syncText2image && model.syncText2image === true && endpoint === "text2image";
  if (!asTask && !worksAtOnce) return refuse("AccessDenied", SYNC_UNSUPPORTED);
  if (model.asyncPath === null) return refuse("AccessDenied", ASYNC_UNSUPPORTED);
  return model.asyncPath === endpoint ? { ok: true, value: model } : refuse("InvalidParameter", WRONG_PATH);
}

interface Parts {
  readonly prompts: readonly string[];
  readonly images: readonly string[];
  readonly negativePrompt: string | null;
  readonly parameters: Readonly<Record<string, unknown>>;
}

function readMessages(json: unknown): Checked<Parts> {
  const parsed = MessagesRequest.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return refuse("InvalidParameter", `Invalid request: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  const { messages } = parsed.data.input;
  const [message] = messages;
  if (message === undefined || messages.length !== 1) {
    return refuse("InvalidParameter", `messages must hold exactly one message, but got ${messages.length}`);
  }
  if (message.role !== "user") return refuse("InvalidParameter", `role must be user, but got ${message.role}`);
  const { content } = message;
  const negative = parsed.data.parameters?.negative_prompt;
  return {
    ok: true,
    value: {
      prompts: content.flatMap(({ text }) => text ?? []),
      images: content.flatMap(({ image }) => image ?? []),
      negativePrompt: negative ?? null,
      parameters: parsed.data.parameters ?? {},
    },
  };
}

/** The functions of `wanx2.1-imageedit`, from the SDK's list. */
const EDIT_FUNCTIONS: readonly string[] = [
  ...["stylization_all", "stylization_local", "description_edit", "description_edit_with_mask", "remove_watermark"],
  ...["expand", "super_resolution", "colorization", "doodle", "control_cartoon_feature"],
];

function readPrompted(model: Model, json: unknown): Checked<Parts> {
  const parsed = PromptRequest.safeParse(json);
  if (!parsed.success) return refuse("BadRequest.EmptyInput");
  const { input, parameters } = parsed.data;
  let images = input.images ?? [];
  if (model.editBody === true) {
    const asked = input.function;
    if (typeof asked !== "string" || !EDIT_FUNCTIONS.includes(asked)) {
      return refuse("InvalidParameter", `function must be one of ${EDIT_FUNCTIONS.join(", ")}, but got ${asked}`);
    }
    images = [input.base_image_url, input.mask_image_url].filter((image) => typeof image === "string");
  }
  return {
    ok: true,
    value: {
      prompts: [input.prompt],
      images,
      negativePrompt: input.negative_prompt ?? null,
      parameters: parameters ?? {},
    },
  };
}

function imagesFault(model: Model, count: number): string | null {
  const { min, max } = model.images;
  if (count >= min && count <= max) return null;
  return min > 0
    ? `For image editing, the message must contain ${min}~${max} image content items. Got ${count} image items.`
    : `Model '${model.name}' supports ${min}~${max} image content items. Got ${count} image items.`;
}

function readN(model: Model, given: unknown): Checked<number> {
  if (model.n === "ignored") return { ok: true, value: 1 };
  if (model.n === "fixed") {
    return given === undefined || given === 1
      ? { ok: true, value: 1 }
      : refuse("InvalidParameter", "num_images_per_prompt must be 1");
  }
  const { max } = model.n;
  const n = given ?? model.n.default;
  return typeof n === "number" && Number.isInteger(n) && n >= 1 && n <= max
    ? { ok: true, value: n }
    : refuse("InvalidParameter", `num_images_per_prompt must be between 1 and ${max}`);
}

/** The result of `checkParameters`. When only a size, number or seed is bad, `order` is the order without it. */
export type CheckedOrder =
  | { readonly ok: true; readonly value: WorkOrder }
  | { readonly ok: false; readonly refusal: WireRefusal; readonly order?: WorkOrder };

/** Checks the parameters, after the quota. A prompt that is too long is no error, because upstream cuts it without one. */
export function checkParameters(model: Model, endpoint: Endpoint, json: unknown, maxSizes: MaxSizes): CheckedOrder {
  const legacy = endpoint === "text2image" || endpoint === "image2image";
  const parts = legacy ? readPrompted(model, json) : readMessages(json);
  if (!parts.ok) return parts;
  const { prompts, images, negativePrompt, parameters } = parts.value;
  const [prompt] = prompts;
  if (prompt === undefined || prompts.length !== 1 || prompt.trim() === "") {
    return refuse("InvalidParameter", `the message must contain exactly one text, but got ${prompts.length}`);
  }
  const wrongImages = imagesFault(model, images.length);
  if (wrongImages !== null) return refuse("InvalidParameter", wrongImages);
  const { size, seed, n } = parameters;
  const count = readN(model, n);
  const extendsByDefault = model.family !== "z-image";
  const order: WorkOrder = {
    prompt,
    negativePrompt: negativePrompt === "" ? null : negativePrompt,
    images,
    size: typeof size === "string" ? size : null,
    n: count.ok ? count.value : 1,
    seed: isSeed(seed) ? seed : null,
    promptExtend: typeof parameters.prompt_extend === "boolean" ? parameters.prompt_extend : extendsByDefault,
    watermark: parameters.watermark === true,
  };
  const wrongOption = optionFault(model, order, parameters);
  if (wrongOption !== null) return refuse("InvalidParameter", wrongOption);
  const wrong = count.ok ? valueFault(model, images.length > 0, size, seed, maxSizes) : count.refusal.message;
  return wrong === null
    ? { ok: true, value: order }
    : { ok: false, refusal: refusalOf("InvalidParameter", wrong), order: { ...order, size: null } };
}

function isSeed(seed: unknown): seed is number {
  return typeof seed === "number" && Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED;
}

function valueFault(model: Model, hasImages: boolean, size: unknown, seed: unknown, maxSizes: MaxSizes): string | null {
  if (seed !== undefined && !isSeed(seed)) return `seed must be an integer between 0 and ${MAX_SEED}`;
  if (size === undefined) return null;
  return typeof size === "string" ? sizeFault(model, size, hasImages, maxSizes) : "size must be a string";
}

/** Contradicting options of 3.0 and 2.1. */
function optionFault(model: Model, order: WorkOrder, parameters: Parts["parameters"]): string | null {
  if (model.family !== "qwen3") return null;
  const { prompt_extend_mode: mode, enable_thinking: thinking } = parameters;
  if (mode !== undefined && mode !== "direct" && mode !== "agent") return "prompt_extend_mode must be direct or agent";
  if (mode === "agent" && order.images.length > 0) return "prompt_extend_mode agent does not support input images";
  if (!order.promptExtend && thinking === true) return "enable_thinking requires prompt_extend";
  return null;
}
