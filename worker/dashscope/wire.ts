/**
 * DashScope's wire in both directions, and the only place with its snake_case names. Requests are what we send; answers are
 * parsed tolerantly, because upstream adds fields without notice and omits others in some model families.
 */
import { z } from "zod";

/** DashScope's shared hosts by region (its base-url page, 2026-10-11); each ends before `/api/v1`. */
export const REGION_HOSTS = {
  sg: "https://dashscope-intl.aliyuncs.com",
  bj: "https://dashscope.aliyuncs.com",
  us: "https://dashscope-us.aliyuncs.com",
  hk: "https://cn-hongkong.dashscope.aliyuncs.com",
} as const;

export type Region = keyof typeof REGION_HOSTS;

/** The regions' names for people. */
export const REGION_NAMES: Readonly<Record<Region, string>> = {
  sg: "Singapore",
  bj: "Beijing",
  us: "US (Virginia)",
  hk: "Hong Kong",
};

/** Every path starts with this on every host. */
export const API_PREFIX = "/api/v1";

/** Paths after `API_PREFIX`. */
export const wirePaths = {
  /** Synchronous: one POST held open until the image exists. */
  multimodalGeneration: "/services/aigc/multimodal-generation/generation",
  /** Asynchronous, legacy: `qwen-image`, `qwen-image-plus`, wan up to 2.5. */
  text2image: "/services/aigc/text2image/image-synthesis",
  /** Asynchronous, legacy: `wan2.5-i2i-preview`, `wanx2.1-imageedit`. */
  image2image: "/services/aigc/image2image/image-synthesis",
  /** Asynchronous, new: `wan2.6-*`, `qwen-image-3.0*`. */
  imageGeneration: "/services/aigc/image-generation/generation",
  tasks: "/tasks",
  task: (taskId: string) => `/tasks/${encodeURIComponent(taskId)}`,
  cancelTask: (taskId: string) => `/tasks/${encodeURIComponent(taskId)}/cancel`,
} as const;

/** Header names, in lower case as HTTP libraries give them. */
export const wireHeaders = {
  authorization: "authorization",
  /** Must be `ASYNC_ENABLE` when submitting a task, and absent on all other calls. */
  async: "x-dashscope-async",
  requestId: "x-request-id",
  retryAfter: "retry-after",
  timeout: "x-dashscope-timeout",
} as const;
export const ASYNC_ENABLE = "enable";

/** One part of a message. In a request it has exactly one of the two keys. 3.0 and wan2.6 add `type` in answers. */
export const WireContent = z.looseObject({
  text: z.string().nullish(),
  image: z.string().nullish(),
  type: z.string().nullish(),
});
export type WireContent = z.infer<typeof WireContent>;

export const WireParameters = z.looseObject({
  size: z.string().optional(),
  n: z.number().optional(),
  seed: z.number().optional(),
  negative_prompt: z.string().optional(),
  prompt_extend: z.boolean().optional(),
  /** 3.0 and 2.1: `direct` or `agent`. */
  prompt_extend_mode: z.string().optional(),
  /** 3.0 and 2.1: on by default, and needs `prompt_extend`. */
  enable_thinking: z.boolean().optional(),
  /** wan2.7: on by default, without effect with input images. */
  thinking_mode: z.boolean().optional(),
  watermark: z.boolean().optional(),
});
export type WireParameters = z.infer<typeof WireParameters>;

/** Body of `multimodalGeneration` and `imageGeneration`: one user message with its images, then its one text. */
export const MessagesRequest = z.looseObject({
  model: z.string(),
  input: z.looseObject({
    messages: z.array(z.looseObject({ role: z.string(), content: z.array(WireContent) })),
  }),
  parameters: WireParameters.optional(),
});
export type MessagesRequest = z.infer<typeof MessagesRequest>;

/** Body of `text2image` and `image2image`. Here the negative prompt is in `input`, not in `parameters`. */
export const PromptRequest = z.looseObject({
  model: z.string(),
  input: z.looseObject({
    prompt: z.string(),
    negative_prompt: z.string().optional(),
    images: z.array(z.string()).optional(),
  }),
  parameters: WireParameters.optional(),
});
export type PromptRequest = z.infer<typeof PromptRequest>;

/** Counts: `task_metric` in synchronous answers, `task_metrics` in tasks. */
export const WireTaskMetrics = z.looseObject({
  TOTAL: z.number().nullish(),
  SUCCEEDED: z.number().nullish(),
  FAILED: z.number().nullish(),
});

/** Two families: `{image_count, width, height}` or `size`, and `output_*` of 3.0. */
export const WireUsage = z.looseObject({
  image_count: z.number().nullish(),
  width: z.number().nullish(),
  height: z.number().nullish(),
  size: z.string().nullish(),
  output_width: z.number().nullish(),
  output_height: z.number().nullish(),
  output_image_count: z.number().nullish(),
  output_image_type: z.string().nullish(),
  input_image_count: z.number().nullish(),
  input_image_type: z.string().nullish(),
  input_tokens: z.number().nullish(),
  output_tokens: z.number().nullish(),
  total_tokens: z.number().nullish(),
});
export type WireUsage = z.infer<typeof WireUsage>;

export const WireChoice = z.looseObject({
  finish_reason: z.string().nullish(),
  message: z
    .looseObject({
      role: z.string().nullish(),
      content: z.array(WireContent).nullish(),
      reasoning_content: z.string().nullish(),
    })
    .nullish(),
});

/** One image of a legacy task: a `url`, or a `code` and `message` when only this image failed. */
export const WireResult = z.looseObject({
  url: z.string().nullish(),
  orig_prompt: z.string().nullish(),
  actual_prompt: z.string().nullish(),
  code: z.string().nullish(),
  message: z.string().nullish(),
});

/**
 * `output` of every answer: choices (synchronous, new tasks), results (legacy tasks), a task's head, a failed task's code.
 * Times are strings in UTC+8, `YYYY-MM-DD HH:mm:ss.SSS`. `task_status` is `PENDING`, `RUNNING`, `SUCCEEDED`, `FAILED`,
 * `CANCELED` (one L), `UNKNOWN` (never existed, or ended over 24 h ago), and in the vendor's SDK also `SUSPENDED`. Any string
 * is accepted, so that a new status does not look like a broken answer.
 */
export const WireOutput = z.looseObject({
  choices: z.array(WireChoice).nullish(),
  task_metric: WireTaskMetrics.nullish(),
  rewrite_status: z.string().nullish(),
  finished: z.boolean().nullish(),
  task_id: z.string().nullish(),
  task_status: z.string().nullish(),
  submit_time: z.string().nullish(),
  scheduled_time: z.string().nullish(),
  end_time: z.string().nullish(),
  results: z.array(WireResult).nullish(),
  task_metrics: WireTaskMetrics.nullish(),
  code: z.string().nullish(),
  message: z.string().nullish(),
});
export type WireOutput = z.infer<typeof WireOutput>;

/**
 * Any answer of any call: `output` after a success; `code` and `message` after a failure (a non-empty `code` is a failure
 * even with status 200).
 */
export const WireAnswer = z.looseObject({
  request_id: z.string().nullish(),
  code: z.string().nullish(),
  message: z.string().nullish(),
  output: WireOutput.nullish(),
  usage: WireUsage.nullish(),
});
export type WireAnswer = z.infer<typeof WireAnswer>;

/** Text that may also be a number or absent. */
const oddText = z
  .union([z.string(), z.number().transform(String)])
  .nullish()
  .catch(null);

/** A list whose unreadable entries count as absent. */
function readableOf<Schema extends z.ZodType>(entry: Schema) {
  const read = z.unknown().transform((value): z.output<Schema> | undefined => entry.safeParse(value).data);
  return z.array(read).nullish().catch(null);
}

/**
 * The parts of an answer that decide about a task, each parsed on its own: an odd number or an unknown shape elsewhere must
 * not lose a paid image. Unreadable parts count as absent. `readAnswer` reads images, codes and messages.
 */
export const DecisiveAnswer = z.looseObject({
  request_id: oddText,
  output: z
    .looseObject({
      task_id: oddText,
      task_status: oddText,
      results: readableOf(WireResult),
      code: oddText,
      message: oddText,
    })
    .nullish()
    .catch(null),
});
export type DecisiveAnswer = z.infer<typeof DecisiveAnswer>;

/** One entry of the list of tasks. Its times are epoch milliseconds. */
export const WireTaskRow = z.looseObject({
  task_id: z.string(),
  status: z.string(),
  model_name: z.string().nullish(),
  region: z.string().nullish(),
  request_id: z.string().nullish(),
  gmt_create: z.number().nullish(),
  start_time: z.number().nullish(),
  end_time: z.number().nullish(),
});

/** `GET /tasks`. */
export const WireTaskList = z.looseObject({
  data: z.array(WireTaskRow),
  total: z.number(),
  total_page: z.number(),
  page_no: z.number(),
  page_size: z.number(),
  request_id: z.string().nullish(),
});
export type WireTaskList = z.infer<typeof WireTaskList>;
