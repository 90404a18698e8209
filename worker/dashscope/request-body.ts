/** Turns a job's request into what upstream is sent. Pure. */
import type { GenerateInput } from "./contract.ts";
import { type AsyncPath, modelFor } from "./models.ts";
import type { MessagesRequest, PromptRequest, WireParameters } from "./wire.ts";
import { wirePaths } from "./wire.ts";

/** What upstream is asked; the images as text: an address, a data URL, or a mark where bytes will be. */
export interface CallInput extends Omit<GenerateInput, "images"> {
  readonly images: readonly string[];
}

export interface UpstreamCall {
  /** After the API prefix. */
  readonly path: string;
  readonly asynchronous: boolean;
  readonly body: MessagesRequest | PromptRequest;
}

/** The call for a request, on the asynchronous path where its model has one. What is `null` in the request is left out. */
export function upstreamCall(input: CallInput): UpstreamCall {
  // A model that left the table while its jobs waited: the synchronous path is common to all.
  const asyncPath = modelFor(input.model)?.asyncPath ?? null;
  const path = asyncPath === null ? wirePaths.multimodalGeneration : wirePaths[asyncPath];
  return { path, asynchronous: asyncPath !== null, body: bodyFor(asyncPath, input) };
}

function bodyFor(asyncPath: AsyncPath | null, input: CallInput): MessagesRequest | PromptRequest {
  switch (asyncPath) {
    case "text2image":
    case "image2image":
      return promptRequest(input);
    case "imageGeneration":
    case null:
      return messagesRequest(input);
    default:
      throw new Error(`no such path: ${JSON.stringify(asyncPath satisfies never)}`);
  }
}

function messagesRequest({ model, request, images }: CallInput): MessagesRequest {
  const content = [...images.map((image) => ({ image })), { text: request.prompt }];
  const negative = request.negativePrompt === null ? {} : { negative_prompt: request.negativePrompt };
  return {
    model,
    input: { messages: [{ role: "user", content }] },
    parameters: { ...parametersOf(model, request), ...negative },
  };
}

function promptRequest({ model, request, images }: CallInput): PromptRequest {
  return {
    model,
    input: {
      prompt: request.prompt,
      ...(request.negativePrompt === null ? {} : { negative_prompt: request.negativePrompt }),
      ...(images.length === 0 ? {} : { images: [...images] }),
    },
    parameters: parametersOf(model, request),
  };
}

function parametersOf(model: string, request: GenerateInput["request"]): WireParameters {
  // Some models that make one image have no `n` at all; elsewhere it is always said, as wan's own default is 4.
  const takesN = (modelFor(model)?.maxN ?? 1) > 1 || request.n > 1;
  return {
    ...(request.size === null ? {} : { size: request.size }),
    ...(takesN ? { n: request.n } : {}),
    ...(request.seed === null ? {} : { seed: request.seed }),
    ...(request.promptExtend === null ? {} : { prompt_extend: request.promptExtend }),
    ...(request.watermark === null ? {} : { watermark: request.watermark }),
  };
}
