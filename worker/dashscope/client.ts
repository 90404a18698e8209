import type { UpstreamReport } from "../../schemas/job.ts";
import { boundedText } from "./bounded-text.ts";
import { classify, type UpstreamProblem } from "./classify.ts";
import type { GenerateInput, Upstream, UpstreamAnswer } from "./contract.ts";
import { keyMask } from "./mask-key.ts";
import { type HttpAnswer, isPlainSuccess, readAnswer } from "./read-answer.ts";
import type { Region } from "./regions.ts";
import { upstreamCall } from "./request-body.ts";
import { retryAfterMs } from "./retry-after.ts";
import { sentImages } from "./sent-images.ts";
import { API_PREFIX, ASYNC_ENABLE, wireHeaders, wirePaths } from "./wire.ts";

export interface UpstreamSettings {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Ends before `/api/v1`. */
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly region: Region;
  /** Epoch ms; a `Retry-After` date is counted from it. */
  readonly now: () => number;
}

/** An answer holds links, not images: the longest seen has a few KB. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** DashScope over HTTP. The key travels in the `Authorization` header only, to `baseUrl` only, and leaves in no answer. */
export function dashScope(settings: UpstreamSettings): Upstream {
  const { fetch, apiKey, region } = settings;
  const root = settings.baseUrl + API_PREFIX;
  const context = { region, host: new URL(settings.baseUrl).host };

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

  async function call(path: string, init: RequestInit): Promise<HttpAnswer> {
    const headers = new Headers(init.headers);
    headers.set(wireHeaders.authorization, `Bearer ${apiKey}`);
    headers.set("accept", "application/json");
    // A redirect is never followed: the key would go along.
    const response = await fetch(root + path, { ...init, headers, redirect: "manual" });
    let text: string | null = "";
    try {
      text = await boundedText(response.body, MAX_ANSWER_BYTES);
    } catch (error) {
      // A refusal is one by its status, also when its body breaks off; a success without its body is none.
      if (response.ok) throw error;
    }
    return {
      httpStatus: response.status,
      requestId: response.headers.get(wireHeaders.requestId),
      retryAfterMs: retryAfterMs(response.headers.get(wireHeaders.retryAfter), settings.now()),
      text,
    };
  }

  async function ask(path: string, init: RequestInit, taskId: string | null, signal: AbortSignal) {
    if (signal.aborted) return unanswered({ kind: "aborted" }, taskId, false);
    let answer: HttpAnswer;
    try {
      answer = await call(path, { ...init, signal });
    } catch {
      return unanswered({ kind: signal.aborted ? "aborted" : "cut" }, taskId, true);
    }
    return readAnswer(answer, taskId, tidy, context);
  }

  return {
    async generate(input: GenerateInput, signal: AbortSignal): Promise<UpstreamAnswer> {
      const sent = sentImages(input.images);
      const { path, asynchronous, body } = upstreamCall({ ...input, images: sent.marks });
      const headers = new Headers({ "content-type": "application/json" });
      if (asynchronous) headers.set(wireHeaders.async, ASYNC_ENABLE);
      // Up to here nothing is awaited: the request goes out when the caller believes it does.
      const answer = await ask(path, { method: "POST", headers, body: sent.body(JSON.stringify(body)) }, null, signal);
      return (await sent.end()) ? answer : unanswered({ kind: "unread_input" }, null, false);
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
