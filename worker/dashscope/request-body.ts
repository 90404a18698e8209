/** Turns a job's request into upstream's request. Pure. */
import type { GenerateInput } from "./contract.ts";
import type { AsyncPath, ModelFacts, ModelTable } from "./models.ts";
import type { MessagesRequest, PromptRequest, WireParameters } from "./wire.ts";
import { wirePaths } from "./wire.ts";

/** The input of a call. Its images are texts: an address, a data URL, or a mark where the bytes will be. */
export interface CallInput extends Omit<GenerateInput, "images"> {
  readonly images: readonly string[];
}

export interface UpstreamCall {
  /** After the API prefix. */
  readonly path: string;
  readonly asynchronous: boolean;
  readonly body: MessagesRequest | PromptRequest;
}

/**
 * The call for a request, on the asynchronous path where its model has one. Fields that are `null`, and options that the
 * model does not have, are left out.
 */
export function upstreamCall(input: CallInput, models: ModelTable): UpstreamCall {
  // The model may have been removed from the table while its jobs waited. All models have the synchronous path.
  const facts = models.facts(input.model);
  const asyncPath = facts?.asyncPath ?? null;
  const path = asyncPath === null ? wirePaths.multimodalGeneration : wirePaths[asyncPath];
  return {
    path,
    asynchronous: asyncPath !== null,
    body: bodyFor(asyncPath, input, parametersOf(facts, input.request)),
  };
}

function bodyFor(
  asyncPath: AsyncPath | null,
  input: CallInput,
  parameters: WireParameters,
): MessagesRequest | PromptRequest {
  switch (asyncPath) {
    case "text2image":
    case "image2image":
      return promptRequest(input, parameters);
    case "imageGeneration":
    case null:
      return messagesRequest(input, parameters);
    default:
      throw new Error(`no such path: ${JSON.stringify(asyncPath satisfies never)}`);
  }
}

function messagesRequest({ model, request, images }: CallInput, parameters: WireParameters): MessagesRequest {
  const content = [...images.map((image) => ({ image })), { text: request.prompt }];
  const negative = request.negativePrompt === null ? {} : { negative_prompt: request.negativePrompt };
  return {
    model,
    input: { messages: [{ role: "user", content }] },
    parameters: { ...parameters, ...negative },
  };
}

function promptRequest({ model, request, images }: CallInput, parameters: WireParameters): PromptRequest {
  return {
    model,
    input: {
      prompt: request.prompt,
      ...(request.negativePrompt === null ? {} : { negative_prompt: request.negativePrompt }),
      ...(images.length === 0 ? {} : { images: [...images] }),
    },
    parameters,
  };
}

function parametersOf(facts: ModelFacts | null, request: GenerateInput["request"]): WireParameters {
  // Some models that make one image have no `n`. Elsewhere it is always sent, because wan's own default is 4.
  const takesN = (facts?.maxN ?? 1) > 1 || request.n > 1;
  const given = <Value>(option: keyof ModelFacts["supports"], value: Value | null | undefined): Value | null =>
    value == null || facts?.supports[option] === false ? null : value;
  const extend = given("promptExtend", request.promptExtend);
  // `enable_thinking` is on by default, and part of extending: a client that switches extending off means both.
  const thinking = given("thinking", request.thinking) ?? given("thinking", extend === false ? false : null);
  return withoutNulls({
    size: request.size,
    n: takesN ? request.n : null,
    seed: given("seed", request.seed),
    prompt_extend: extend,
    prompt_extend_mode: given("promptExtendMode", request.promptExtendMode),
    [facts?.thinkingParameter ?? "enable_thinking"]: thinking,
    watermark: given("watermark", request.watermark),
  });
}

function withoutNulls(values: Record<string, string | number | boolean | null>): WireParameters {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}
