/**
 * Two ways to write an image to R2 chunk by chunk. Until `finish` resolves no object exists; an existing object is never
 * replaced. Every call is bounded and throws when R2 does not answer.
 */
import { fromR2, R2_BOUND_MS } from "./job-files.ts";

export interface ImageSink {
  write(chunk: Uint8Array): Promise<void>;
  /** False: an object existed already and is unchanged. */
  finish(): Promise<boolean>;
  /** Leaves nothing behind. Never throws. */
  abort(): Promise<void>;
}

/** R2 requires parts of at least 5 MiB, all but the last of equal length. */
const PART_BYTES = 5 * 1024 * 1024;

/** Cleaning up is worth a shorter wait than storing. */
const ABORT_BOUND_MS = 5_000;

/** Writes only where no object exists: a late or doubled copy cannot change an image that someone may have seen. */
const WRITE_ONCE = { onlyIf: { etagDoesNotMatch: "*" } };

function abortBoundMs(boundMs = R2_BOUND_MS): number {
  return Math.min(boundMs, ABORT_BOUND_MS);
}

/** Streams bytes of a known length, because R2 accepts a stream only with its length. */
export function fixedLengthSink(
  bucket: R2Bucket,
  key: string,
  bytes: number,
  contentType: string,
  boundMs?: number,
): ImageSink {
  const { readable, writable } = new FixedLengthStream(bytes);
  const writer = writable.getWriter();
  const putting = bucket.put(key, readable, { ...WRITE_ONCE, httpMetadata: { contentType } });
  let settled = false;
  const settle = putting.then(
    () => {
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  writer.closed.catch(() => undefined);
  return {
    async write(chunk) {
      if (settled) return;
      const writing = writer.write(chunk);
      writing.catch(() => undefined);
      // When an object exists already, R2 may answer without reading on, and the write would never resolve.
      await fromR2(Promise.race([writing, settle]), boundMs);
    },
    async finish() {
      const closing = writer.close();
      closing.catch(() => undefined);
      return (await fromR2(putting, boundMs)) !== null;
    },
    async abort() {
      const ending = Promise.allSettled([writer.abort(new Error("not stored")), settle]);
      await fromR2(ending, abortBoundMs(boundMs)).catch(() => undefined);
    },
  };
}

/** For a host that names no length: one part is held at a time. */
export function unknownLengthSink(bucket: R2Bucket, key: string, contentType: string, boundMs?: number): ImageSink {
  const part = new Uint8Array(PART_BYTES);
  let held = 0;
  let upload: R2MultipartUpload | null = null;
  const parts: R2UploadedPart[] = [];

  async function flush(): Promise<void> {
    upload ??= await fromR2(bucket.createMultipartUpload(key, { httpMetadata: { contentType } }), boundMs);
    parts.push(await fromR2(upload.uploadPart(parts.length + 1, part.slice(0, held)), boundMs));
    held = 0;
  }

  async function abort(): Promise<void> {
    if (upload !== null) await fromR2(upload.abort(), abortBoundMs(boundMs)).catch(() => undefined);
  }

  return {
    async write(chunk) {
      let rest = chunk;
      while (rest.byteLength > 0) {
        const taken = rest.subarray(0, PART_BYTES - held);
        part.set(taken, held);
        held += taken.byteLength;
        rest = rest.subarray(taken.byteLength);
        if (held === PART_BYTES) await flush();
      }
    },
    async finish() {
      if (upload === null) {
        const options = { ...WRITE_ONCE, httpMetadata: { contentType } };
        return (await fromR2(bucket.put(key, part.slice(0, held), options), boundMs)) !== null;
      }
      if (held > 0) await flush();
      // A multipart upload takes no condition. Two copies of one key are of one delivery, and the first is kept.
      if ((await fromR2(bucket.head(key), boundMs)) !== null) {
        await abort();
        return false;
      }
      await fromR2(upload.complete(parts), boundMs);
      return true;
    },
    abort,
  };
}
