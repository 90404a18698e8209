/**
 * A body in chunks of exactly `chunkBytes`, the last one shorter. The runtime's own byte streams (of a request, of a fetch, of
 * R2) come 4 KB at a time from the default reader, and each chunk costs a turn on every hand-over. A stream that is made in
 * JavaScript keeps its own chunks. A consumer that stops early ends the reading; so does the signal, after which the chunks
 * end as if the body had. Only the signal ends a read that hangs: the generator's `return()` waits for it.
 */
export async function* byteChunks(
  body: ReadableStream<Uint8Array>,
  chunkBytes: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = body.getReader({ mode: "byob" });
  } catch {
    // Not a byte stream.
    yield* body as ReadableStream<Uint8Array<ArrayBuffer>>;
    return;
  }
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
