/**
 * A body in chunks of exactly `chunkBytes`, the last one shorter. The body must be one of the runtime's own byte streams (of
 * a fetch, of R2): read by the default reader those come 4 KB at a time, and each chunk costs a turn on every hand-over.
 * Whoever stops early ends the reading; so does the signal, after which the chunks end as if the body had.
 */
export async function* byteChunks(
  body: ReadableStream<Uint8Array>,
  chunkBytes: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const reader = body.getReader({ mode: "byob" });
  const stop = () => {
    reader.cancel().catch(() => undefined);
  };
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    while (true) {
      const { value, done } = await reader.readAtLeast(chunkBytes, new Uint8Array(chunkBytes));
      if (value !== undefined && value.byteLength > 0) yield value;
      if (done) return;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}
