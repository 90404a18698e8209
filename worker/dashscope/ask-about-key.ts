import { readAnswerBody } from "./answer-body.ts";
import type { KeyAnswer } from "./contract.ts";
import { keyMask, parseJson, wordsIn } from "./read-answer.ts";
import { API_PREFIX, wireHeaders, wirePaths } from "./wire.ts";

/** No task has this id: DashScope's own are UUIDs. */
const NO_TASK = "darkroom-doctor";

const MAX_WORDS_CHARS = 200;

/**
 * Asks a host for a task that does not exist: a good key gets 200 `UNKNOWN`, a wrong one 401, and neither costs anything. The
 * key is sent in the `Authorization` header only. Never throws; ends with `signal`.
 */
export async function askAboutKey(
  settings: {
    readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
    /** Ends before `/api/v1`. */
    readonly baseUrl: string;
    readonly apiKey: string;
    readonly now: () => number;
  },
  signal: AbortSignal,
): Promise<KeyAnswer> {
  const { fetch, baseUrl, apiKey, now } = settings;
  const mask = keyMask(apiKey);
  const startedAtMs = now();
  try {
    const response = await fetch(baseUrl + API_PREFIX + wirePaths.task(NO_TASK), {
      headers: { [wireHeaders.authorization]: `Bearer ${apiKey}`, accept: "application/json" },
      // A redirect is never followed, because the key would be sent along.
      redirect: "manual",
      signal,
    });
    const { text } = await readAnswerBody(response.body);
    const { status: httpStatus } = response;
    const said = readWords(text ?? "");
    if (said === null) return { kind: "foreign", httpStatus, looksLike: looksLike(text ?? "") };
    // DashScope answers every read of a task with 200, even for an unknown one, so this address is not DashScope's.
    if (httpStatus === 404) return { kind: "foreign", httpStatus, looksLike: "a refusal of the address" };
    const date = Date.parse(response.headers.get("date") ?? "");
    return {
      kind: "answered",
      accepted: httpStatus === 401 ? false : httpStatus < 300 ? true : null,
      httpStatus,
      code: said.code === null ? null : mask(said.code),
      message: said.message === null ? null : mask(said.message),
      tookMs: now() - startedAtMs,
      dateMs: Number.isNaN(date) ? null : date,
    };
  } catch (error) {
    const reason = signal.aborted ? "no answer in time" : mask(error instanceof Error ? error.message : String(error));
    return { kind: "silent", reason: reason.slice(0, MAX_WORDS_CHARS) };
  }
}

/** Code and message of DashScope's answer; null when the answer is not DashScope's. */
function readWords(text: string): { readonly code: string | null; readonly message: string | null } | null {
  const json = parseJson(text);
  if (typeof json !== "object" || json === null) return null;
  if (!("request_id" in json) && !("output" in json) && !("code" in json)) return null;
  const { code, message } = wordsIn(json);
  return { code: code?.slice(0, MAX_WORDS_CHARS) ?? null, message: message?.slice(0, MAX_WORDS_CHARS) ?? null };
}

function looksLike(text: string): string {
  const start = text.trimStart().slice(0, 100).toLowerCase();
  if (start === "") return "nothing";
  if (start.startsWith("<!doctype") || start.startsWith("<html")) return "a web page";
  return start.startsWith("{") || start.startsWith("[") ? "another JSON" : "other text";
}
