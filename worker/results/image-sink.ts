/** Ways of writing an image to R2 chunk by chunk. Until `finish` resolves no object exists; an object there is never replaced. */

export interface ImageSink {
  write(chunk: Uint8Array): Promise<void>;
  /** False: an object was there already and stays as it was. */
  finish(): Promise<boolean>;
  /** Leaves nothing behind. Never throws. */
  abort(): Promise<void>;
}

/** R2 takes parts of 5 MiB at least, all but the last of one length. */
const PART_BYTES = 5 * 1024 * 1024;

/** Only where nothing is: a late or doubled copy cannot change an image that someone may have seen. */
const WRITE_ONCE = { onlyIf: { etagDoesNotMatch: "*" } };

/** Streams bytes of a known length; R2 takes a stream only so. */
export function fixedLengthSink(bucket: R2Bucket, key: string, bytes: number, contentType: string): ImageSink {
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
      // Where an object is already, R2 may answer without reading on, and a write would wait for ever.
      await Promise.race([writing, settle]);
    },
    async finish() {
      const closing = writer.close();
      closing.catch(() => undefined);
      return (await putting) !== null;
    },
    async abort() {
      await writer.abort(new Error("not stored")).catch(() => undefined);
      await settle;
    },
  };
}

/** For a host that does not tell the length: one part is held at a time. */
export function unknownLengthSink(bucket: R2Bucket, key: string, contentType: string): ImageSink {
  const part = new Uint8Array(PART_BYTES);
  let held = 0;
  let upload: R2MultipartUpload | null = null;
  const parts: R2UploadedPart[] = [];

  async function flush(): Promise<void> {
    upload ??= await bucket.createMultipartUpload(key, { httpMetadata: { contentType } });
    parts.push(await upload.uploadPart(parts.length + 1, part.slice(0, held)));
    held = 0;
  }

  async function abort(): Promise<void> {
    await upload?.abort().catch(() => undefined);
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
        return (await bucket.put(key, part.slice(0, held), options)) !== null;
      }
      if (held > 0) await flush();
      // A multipart upload knows no condition; two copies of one key are of one delivery, and the first is kept.
      if ((await bucket.head(key)) !== null) {
        await abort();
        return false;
      }
      await upload.complete(parts);
      return true;
    },
    abort,
  };
}
