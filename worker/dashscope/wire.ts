/**
 * DashScope's wire, both directions: the only place where its snake_case names live. Requests are what we send; answers
 * are parsed tolerantly, for upstream adds fields without notice and leaves others out by model family.
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

/** As people call them. */
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

/** Header names, lower case as HTTP libraries give them. */
export const wireHeaders = {
  authorization: "authorization",
  /** Must be `ASYNC_ENABLE` on a submission of a task, and absent on everything else. */
  async: "x-dashscope-async",
  requestId: "x-request-id",
  retryAfter: "retry-after",
  timeout: "x-dashscope-timeout",
} as const;
export const ASYNC_ENABLE = "enable";

/** One part of a message: exactly one of the two keys in a request. 3.0 and wan2.6 add `type` in answers. */
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
  /** 3.0 and 2.1; on by default, and needs `prompt_extend`. */
  enable_thinking: z.boolean().optional(),
  /** wan2.7; on by default, without effect with input images. */
  thinking_mode: z.boolean().optional(),
  watermark: z.boolean().optional(),
});
export type WireParameters = z.infer<typeof WireParameters>;

/** Body of `multimodalGeneration` and `imageGeneration`: one user message, its images before its one text. */
export const MessagesRequest = z.looseObject({
  model: z.string(),
  input: z.looseObject({
    messages: z.array(z.looseObject({ role: z.string(), content: z.array(WireContent) })),
  }),
  parameters: WireParameters.optional(),
});
export type MessagesRequest = z.infer<typeof MessagesRequest>;

/** Body of `text2image` and `image2image`. The negative prompt belongs to `input` here, not to `parameters`. */
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

/** Counts; `task_metric` in synchronous answers, `task_metrics` in tasks. */
export const WireTaskMetrics = z.looseObject({
  TOTAL: z.number().nullish(),
  SUCCEEDED: z.number().nullish(),
  FAILED: z.number().nullish(),
});

/** Two families: `{image_count, width, height}` or `size`, and 3.0's `output_*`. */
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

/** One image of a legacy task: a `url`, or a `code` and `message` where only this one failed. */
export const WireResult = z.looseObject({
  url: z.string().nullish(),
  orig_prompt: z.string().nullish(),
  actual_prompt: z.string().nullish(),
  code: z.string().nullish(),
  message: z.string().nullish(),
});

/**
 * `output` of every answer there is: choices (synchronous, new tasks), results (legacy tasks), a task's head, a failed
 * task's code. Times are strings in UTC+8, `YYYY-MM-DD HH:mm:ss.SSS`. `task_status` is `PENDING`, `RUNNING`, `SUCCEEDED`,
 * `FAILED`, `CANCELED` (one L), `UNKNOWN` (never existed, or ended over 24 h ago), in the vendor's SDK also `SUSPENDED`; but any
 * string is taken: a new one must not look like a broken answer.
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
 * Any answer of any call, good or bad: `output` when it worked; `code` and `message` when it did not (a non-empty `code`
 * is a failure even with status 200).
 */
export const WireAnswer = z.looseObject({
  request_id: z.string().nullish(),
  code: z.string().nullish(),
  message: z.string().nullish(),
  output: WireOutput.nullish(),
  usage: WireUsage.nullish(),
});
export type WireAnswer = z.infer<typeof WireAnswer>;

/** Text that may come as a number, or not at all. */
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
 * The parts of an answer that decide about a task, each read by itself: an odd figure or a part of another shape elsewhere
 * must not lose a paid image. What cannot be read counts as absent. Images, codes and messages are read by `readAnswer`.
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

/** One entry of the list of tasks. Here times are epoch milliseconds. */
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
