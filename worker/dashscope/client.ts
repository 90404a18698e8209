import type { UpstreamReport } from "../../schemas/job.ts";
import { within } from "../bounds.ts";
import { embeddedIndex, readAnswerBody } from "./answer-body.ts";
import { classify, type UpstreamProblem } from "./classify.ts";
import type { GenerateInput, Upstream, UpstreamAnswer } from "./contract.ts";
import type { ModelTable } from "./models.ts";
import { type HttpAnswer, isPlainSuccess, keyMask, readAnswer, retryAfterMs } from "./read-answer.ts";
import { upstreamCall } from "./request-body.ts";
import { sentImages } from "./sent-images.ts";
import { API_PREFIX, ASYNC_ENABLE, type Region, wireHeaders, wirePaths } from "./wire.ts";

export interface UpstreamSettings {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Ends before `/api/v1`. */
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly region: Region;
  readonly models: ModelTable;
  /** Epoch ms; a `Retry-After` date is counted from it. */
  readonly now: () => number;
  /**
   * Stores an image that was embedded in an answer, as image `index` of the delivery, and resolves to the link that stands
   * for it. It must settle within its own bound. Absent: such an image becomes a data URL.
   */
  readonly storeEmbedded?: (index: number, bytes: Uint8Array<ArrayBuffer>) => Promise<string>;
}

/** The bound, in ms, on ending the input images once the answer is there. */
const END_BOUND_MS = 5_000;

interface ReceivedAnswer extends HttpAnswer {
  readonly embedded: readonly Uint8Array<ArrayBuffer>[];
}

/** DashScope over HTTP. The key is sent in the `Authorization` header only and to `baseUrl` only, and is masked in every answer. */
export function dashScope(settings: UpstreamSettings): Upstream {
  const { fetch, apiKey, region } = settings;
  const root = settings.baseUrl + API_PREFIX;
  const context = { region, host: new URL(settings.baseUrl).host };
  const storeEmbedded = settings.storeEmbedded ?? asDataUrl;
  const mask = keyMask(apiKey);

  function tidy(text: string, maxChars: number): string {
    const masked = mask(text);
    return masked.length > maxChars ? `${masked.slice(0, maxChars - 1)}…` : masked;
  }

  function unanswered(problem: UpstreamProblem, taskId: string | null, sent: boolean): UpstreamAnswer {
    const report: UpstreamReport = { httpStatus: null, code: null, message: null, requestId: null, taskId };
    const failure = classify(problem, report, null, context);
    if (taskId !== null) return { kind: "unreadable", failure: { ...failure, mayBeBilled: true } };
    return { kind: "failed", failure: sent ? failure : { ...failure, mayBeBilled: false } };
  }

  async function call(path: string, init: RequestInit): Promise<ReceivedAnswer> {
    const headers = new Headers(init.headers);
    headers.set(wireHeaders.authorization, `Bearer ${apiKey}`);
    headers.set("accept", "application/json");
    // A redirect is never followed, because the key would be sent along.
    const response = await fetch(root + path, { ...init, headers, redirect: "manual" });
    let body: Pick<ReceivedAnswer, "text" | "embedded"> = { text: "", embedded: [] };
    try {
      body = await readAnswerBody(response.body);
    } catch (error) {
      // For a refusal the status is enough, even when its body breaks off. A success needs its body.
      if (response.ok) throw error;
    }
    return {
      httpStatus: response.status,
      requestId: response.headers.get(wireHeaders.requestId),
      retryAfterMs: retryAfterMs(response.headers.get(wireHeaders.retryAfter), settings.now()),
      ...body,
    };
  }

  async function ask(path: string, init: RequestInit, taskId: string | null, signal: AbortSignal) {
    if (signal.aborted) return unanswered("aborted", taskId, false);
    let received: ReceivedAnswer;
    try {
      received = await call(path, { ...init, signal });
    } catch {
      return unanswered(signal.aborted ? "aborted" : "cut", taskId, true);
    }
    return withEmbedded(readAnswer(received, taskId, tidy, context), received.embedded, taskId);
  }

  /** Stores the images that came inside the answer, so that their links are as short and lasting as others. */
  async function withEmbedded(
    answer: UpstreamAnswer,
    embedded: ReceivedAnswer["embedded"],
    taskId: string | null,
  ): Promise<UpstreamAnswer> {
    if (answer.kind !== "delivered") return answer;
    const links: string[] = [];
    try {
      for (const [index, link] of answer.links.entries()) {
        const bytes = embedded[embeddedIndex(link) ?? -1];
        links.push(bytes === undefined ? link : await storeEmbedded(index, bytes));
      }
    } catch {
      const failure = classify("unstored", answer.report, null, context);
      return taskId === null ? { kind: "failed", failure } : { kind: "unreadable", failure };
    }
    return { ...answer, links };
  }

  return {
    async generate(input: GenerateInput, signal: AbortSignal): Promise<UpstreamAnswer> {
      const sent = sentImages(input.images);
      const { path, asynchronous, body } = upstreamCall({ ...input, images: sent.marks }, settings.models);
      const headers = new Headers({ "content-type": "application/json" });
      if (asynchronous) headers.set(wireHeaders.async, ASYNC_ENABLE);
      // Nothing is awaited before this, so that the request is sent at the time that the caller recorded.
      const answer = await ask(path, { method: "POST", headers, body: sent.body(JSON.stringify(body)) }, null, signal);
      // An input that does not end must not delay an answer, which may be paid for.
      const wasSentWhole = await within(END_BOUND_MS, "the end of an input image", sent.end()).catch(() => true);
      const isPaid = answer.kind === "delivered" || answer.kind === "accepted";
      return wasSentWhole || isPaid ? answer : unanswered("unreadInput", null, false);
    },

    async readTask(taskId: string, signal: AbortSignal): Promise<UpstreamAnswer> {
      return ask(wirePaths.task(taskId), { method: "GET" }, taskId, signal);
    },

    async cancelTask(taskId: string, signal: AbortSignal): Promise<boolean> {
      if (signal.aborted) return false;
      try {
        const { httpStatus, text } = await call(wirePaths.cancelTask(taskId), { method: "POST", signal });
        return isPlainSuccess(httpStatus, text);
      } catch {
        return false;
      }
    },
  };
}

async function asDataUrl(_index: number, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`;
}
