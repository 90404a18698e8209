import { authHeaders } from "./api-call.ts";
import type { Settings } from "./client-options.ts";
import { SseParser } from "./sse-parser.ts";

/**
 * One event stream over `fetch` (which, other than `EventSource`, can send a token), as the data of its messages. Ends with the
 * stream, also when the network fails or the server refuses; throws the signal's reason on abort. A stream that stays silent
 * beyond the server's heartbeat is given up.
 */
export async function* readStream(
  path: string,
  settings: Settings,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, void> {
  signal?.throwIfAborted();
  const silence = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const within = (delayMs: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), delayMs);
  };
  const either = signal ? AbortSignal.any([signal, silence.signal]) : silence.signal;
  try {
    within(settings.timing.connectTimeoutMs);
    const response = await settings.fetch(new URL(path, settings.baseUrl).href, {
      headers: { Accept: "text/event-stream", ...authHeaders(settings) },
      signal: either,
    });
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
    if (!response.ok || !isStream || response.body === null) {
      await response.body?.cancel();
      return;
    }
    within(settings.timing.streamSilenceMs);
    const parser = new SseParser();
    const decoder = new TextDecoder();
    const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        within(settings.timing.streamSilenceMs);
        for (const message of parser.push(decoder.decode(value, { stream: true }))) yield message.data;
      }
    } finally {
      // Runs when the watcher stops too: the server must see the stream go.
      await reader.cancel().catch(() => undefined);
    }
  } catch {
    signal?.throwIfAborted();
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}
