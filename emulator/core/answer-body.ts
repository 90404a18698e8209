/** The bodies of successful answers, by family of models. Sources: recorded wire data and the vendor's pages. Pure. */
import type { WireAnswer, WireOutput, WireUsage } from "../../worker/dashscope/wire.ts";
import { OUTPUT_MODERATED, refusalOf } from "./error-table.ts";
import { wireTime } from "./ids.ts";
import type { AnswerFamily, Model } from "./model-table.ts";
import type { WorkOrder } from "./request-check.ts";
import type { TaskFacts, TaskView } from "./task-board.ts";

/** One image in an answer. */
export interface MadeImage {
  readonly url: string;
  readonly width: number;
  readonly height: number;
}

/** Above this many pixels 3.0 bills an image as `2k`. */
const QWEN3_1K_PIXELS = 2_250_000;

/** A prompt as upstream's rewriting might return it. Only tasks report it. */
export function rewritten(prompt: string): string {
  return `${prompt}, finely detailed, balanced composition, natural light, rich but quiet colours`;
}

function usageOf(family: AnswerFamily, order: WorkOrder, images: readonly MadeImage[]): WireUsage {
  const first = images[0];
  const width = first?.width ?? 0;
  const height = first?.height ?? 0;
  switch (family) {
    case "older":
    case "edit":
    case "qwen2":
      return { height, image_count: images.length, width };
    case "qwen3":
      return {
        output_width: width,
        output_height: height,
        output_image_count: images.length,
        output_image_type: width * height < QWEN3_1K_PIXELS ? "qima_output_1k" : "qima_output_2k",
        input_image_count: order.images.length,
        ...(order.images.length > 0 ? { input_image_type: "qima_input" } : {}),
      };
    case "wan2.6":
      return {
        image_count: images.length,
        size: `${width}*${height}`,
        input_tokens: 0,
        output_tokens: 0,
        total_tokens: 0,
      };
    case "z-image":
      return { height, image_count: images.length, width, input_tokens: 0, output_tokens: 0, total_tokens: 0 };
    case "legacy":
      return { image_count: images.length };
  }
}

function choicesOf(family: AnswerFamily, order: WorkOrder, images: readonly MadeImage[]): WireOutput {
  const typed = family === "qwen3" || family === "wan2.6";
  const content = images.map(({ url }) => (typed ? { image: url, type: "image" } : { image: url }));
  if (family === "z-image") {
    const text = order.promptExtend ? rewritten(order.prompt) : order.prompt;
    const message = { content: [...content, { text }], reasoning_content: "", role: "assistant" };
    return { choices: [{ finish_reason: "stop", message }] };
  }
  const choices = [{ finish_reason: "stop", message: { content, role: "assistant" } }];
  switch (family) {
    case "older":
      return { choices, task_metric: { FAILED: 0, SUCCEEDED: images.length, TOTAL: images.length } };
    case "qwen3":
      return { choices, rewrite_status: order.promptExtend ? "success" : "not_use" };
    case "wan2.6":
      return { choices, finished: true };
    default:
      return { choices };
  }
}

/** A synchronous success. */
export function syncAnswer(
  model: Model,
  order: WorkOrder,
  images: readonly MadeImage[],
  requestId: string,
): WireAnswer {
  return {
    output: choicesOf(model.family, order, images),
    usage: usageOf(model.family, order, images),
    request_id: requestId,
  };
}

/** A success of `text2image` without the asynchronous header. No real one was recorded: the SDK reads the same fields as from a task. */
export function promptedAnswer(
  order: WorkOrder,
  images: readonly MadeImage[],
  id: string,
  requestId: string,
): WireAnswer {
  return {
    request_id: requestId,
    output: { task_id: id, task_status: "SUCCEEDED", results: resultsOf(order, images) },
    usage: usageOf("legacy", order, images),
  };
}

function resultsOf({ prompt, promptExtend }: WorkOrder, images: readonly MadeImage[]) {
  return images.map(({ url }) => ({
    orig_prompt: prompt,
    ...(promptExtend ? { actual_prompt: rewritten(prompt) } : {}),
    url,
  }));
}

/** The answer to an accepted task. */
export function acceptedAnswer(taskId: string, requestId: string): WireAnswer {
  return { output: { task_status: "PENDING", task_id: taskId }, request_id: requestId };
}

/** A task that never existed, or is too old. */
export function unknownTaskAnswer(taskId: string, requestId: string): WireAnswer {
  return { request_id: requestId, output: { task_id: taskId, task_status: "UNKNOWN" } };
}

interface TaskDetails extends TaskFacts {
  readonly family: AnswerFamily;
  readonly order: WorkOrder;
}

/** A task in its current state. `images` are those it made; a legacy task also lists its failed ones. */
export function taskAnswer(task: TaskView<TaskDetails>, images: readonly MadeImage[], requestId: string): WireAnswer {
  const { facts, status } = task;
  if (status === "UNKNOWN") return unknownTaskAnswer(facts.id, requestId);
  const total = facts.order.n;
  const done = status === "SUCCEEDED" || status === "FAILED";
  const succeeded = status === "SUCCEEDED" ? images.length : 0;
  const head: WireOutput = {
    task_id: facts.id,
    task_status: status,
    submit_time: wireTime(facts.submittedAtMs),
    ...(task.startedAtMs === null ? {} : { scheduled_time: wireTime(task.startedAtMs) }),
    ...(task.endedAtMs === null ? {} : { end_time: wireTime(task.endedAtMs) }),
  };
  const metrics = { task_metrics: { TOTAL: total, SUCCEEDED: succeeded, FAILED: done ? total - succeeded : 0 } };
  switch (status) {
    case "PENDING":
    case "RUNNING":
      return { request_id: requestId, output: { ...head, ...metrics } };
    case "CANCELED":
      return { request_id: requestId, output: head };
    case "FAILED": {
      const { fate } = facts;
      const { code, message } =
        fate.kind === "fail" ? refusalOf(fate.code, fate.message) : refusalOf("InternalError.Timeout");
      return { request_id: requestId, output: { ...head, code, message } };
    }
    case "SUCCEEDED": {
      const usage = usageOf(facts.family === "older" ? "legacy" : facts.family, facts.order, images);
      if (facts.family === "wan2.6" || facts.family === "qwen3") {
        return {
          request_id: requestId,
          output: { ...choicesOf(facts.family, facts.order, images), ...head, finished: true },
          usage,
        };
      }
      const made = resultsOf(facts.order, images);
      const refused = { code: "DataInspectionFailed", message: OUTPUT_MODERATED };
      const failed = Array.from({ length: total - images.length }, () => refused);
      return { request_id: requestId, output: { ...head, results: [...made, ...failed], ...metrics }, usage };
    }
  }
}
