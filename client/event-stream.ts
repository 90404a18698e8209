import { createParser } from "eventsource-parser";
import { authHeaders, refusalOf } from "./api-call.ts";
import type { Settings } from "./client-options.ts";
import { DarkroomProblem, DarkroomUnexpectedAnswer } from "./errors.ts";

/**
 * Yields the data of each message of an event stream, read by `fetch`, which can send a token (`EventSource` cannot). Ends with
 * the stream, and also when the network fails. Throws `DarkroomProblem` or `DarkroomUnexpectedAnswer` when the server refuses, and
 * the signal's reason on abort. Gives up a stream that stays silent longer than the server's heartbeat allows.
 */
export async function* readStream(
  path: string,
  settings: Settings,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, void> {
  signal?.throwIfAborted();
  const silence = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const giveUpAfter = (delayMs: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), delayMs);
  };
  const either = signal ? AbortSignal.any([signal, silence.signal]) : silence.signal;
  try {
    giveUpAfter(settings.timing.connectTimeoutMs);
    const url = new URL(path, settings.baseUrl).href;
    const response = await settings.fetch(url, {
      headers: { Accept: "text/event-stream", ...authHeaders(settings) },
      signal: either,
    });
    if (!response.ok) {
      const facts = { method: "GET", url, jobId: null, idempotencyKey: null };
      throw refusalOf(response.status, response.headers, await response.text(), facts);
    }
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
    if (!isStream || response.body === null) {
      await response.body?.cancel();
      return;
    }
    let messages: string[] = [];
    const parser = createParser({ onEvent: ({ data }) => messages.push(data) });
    const decoder = new TextDecoder();
    const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
    try {
      for (;;) {
        giveUpAfter(settings.timing.streamSilenceMs);
        const { done, value } = await reader.read();
        // Silence counts only while this side listens: how long the caller takes for a message says nothing about the server.
        clearTimeout(timer);
        if (done) return;
        parser.feed(decoder.decode(value, { stream: true }));
        const complete = messages;
        messages = [];
        yield* complete;
      }
    } finally {
      // Also runs when the watcher stops: closes the connection to the server.
      await reader.cancel().catch(() => undefined);
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DarkroomProblem || error instanceof DarkroomUnexpectedAnswer) throw error;
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}
