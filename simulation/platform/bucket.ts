import { createHash } from "node:crypto";
import { currentActor } from "../engine/actor.ts";
import { spread } from "../engine/random.ts";
import type { Sim } from "../engine/sim.ts";
import { byteStream, bytesOf } from "./bodies.ts";
import { bucketFailed } from "./errors.ts";
import type { ObjectHost } from "./objects.ts";

/** Small, so that runs list in several pages. The platform's page has 1000. */
const LIST_PAGE = 2;

interface StoredFile {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly httpMetadata: object;
  readonly customMetadata: object;
  readonly uploadedMs: number;
}

interface PutOptions {
  readonly httpMetadata?: object;
  readonly customMetadata?: object;
  readonly sha256?: string | ArrayBuffer;
  readonly onlyIf?: { readonly etagDoesNotMatch?: string; readonly etagMatches?: string };
}

/** R2: strongly consistent once it answers, with every failure that is possible before that. */
export class SimBucket {
  readonly files = new Map<string, StoredFile>();
  readonly #sim: Sim;
  readonly #host: () => ObjectHost;

  constructor(sim: Sim, host: () => ObjectHost) {
    this.#sim = sim;
    this.#host = host;
  }

  /** One operation: `effect` happens in the bucket at a moment of its own. */
  #operate<Result>(op: string, key: string, effect: () => Result): Promise<Result> {
    const sim = this.#sim;
    const actor = currentActor();
    if (actor === null) throw new Error("the bucket is asked by actors");
    const ended = this.#host().pending(actor);
    return new Promise<Result>((resolve, reject) => {
      const settle = (work: () => void) => {
        ended();
        actor.enter(work);
      };
      actor.send(() => {
        const label = `${op} ${key}`;
        const strike = sim.strike("bucket", label);
        const fault = strike?.fault;
        const delayMs =
          strike?.fault === "bucket slow"
            ? spread(strike.random, 1_000, 60_000)
            : sim.delayMs(`bucket ${label}`, 3, 60);
        sim.clock.after(delayMs, () => {
          if (fault === "bucket hangs before") return;
          const isBroken = fault === "bucket fails before" || sim.away.has("bucket");
          let result: Result | undefined;
          let error: unknown = isBroken ? bucketFailed(op) : null;
          if (!isBroken) {
            try {
              result = effect();
              sim.tell(() => `the bucket carries out ${sim.named(label)}`);
            } catch (thrown) {
              error = thrown;
            }
          }
          if (fault === "bucket hangs after") return;
          if (fault === "bucket fails after") error = bucketFailed(op);
          sim.clock.after(sim.delayMs(`bucket back ${label}`, 1, 10), () =>
            settle(() => {
              if (error !== null) reject(error);
              else resolve(result as Result);
            }),
          );
        });
      });
    });
  }

  async put(
    key: string,
    value: ReadableStream<Uint8Array> | ArrayBuffer | ArrayBufferView | string,
    options: PutOptions = {},
  ) {
    const bytes = await bytesOfValue(value);
    return this.#operate("put", key, () => {
      const { onlyIf } = options;
      if (onlyIf?.etagDoesNotMatch === "*" && this.files.has(key)) return null;
      if (typeof options.sha256 === "string" && createHash("sha256").update(bytes).digest("hex") !== options.sha256) {
        throw bucketFailed("put: the sha256 does not match");
      }
      const file: StoredFile = {
        bytes,
        etag: createHash("md5").update(bytes).digest("hex"),
        httpMetadata: options.httpMetadata ?? {},
        customMetadata: options.customMetadata ?? {},
        uploadedMs: this.#sim.nowMs,
      };
      this.files.set(key, file);
      return this.#head(key, file);
    });
  }

  head(key: string) {
    return this.#operate("head", key, () => {
      const file = this.files.get(key);
      return file === undefined ? null : this.#head(key, file);
    });
  }

  get(key: string, options: { readonly range?: { readonly offset: number; readonly length: number } } = {}) {
    return this.#operate("get", key, () => {
      const file = this.files.get(key);
      if (file === undefined) return null;
      const { range } = options;
      const bytes = range === undefined ? file.bytes : file.bytes.subarray(range.offset, range.offset + range.length);
      const strike = this.#sim.strike("bucket", `body ${key}`);
      const how = strike?.fault === "bucket body hangs" ? "hangs" : "breaks";
      const isBroken = strike?.fault === "bucket body hangs" || strike?.fault === "bucket body breaks";
      const body = byteStream(bytes, isBroken ? { afterBytes: bytes.byteLength >> 1, how } : null);
      return {
        ...this.#head(key, file),
        body,
        bodyUsed: false,
        range,
        arrayBuffer: async () => (await bytesOf(body)).buffer,
        bytes: () => bytesOf(body),
        text: async () => new TextDecoder().decode(await bytesOf(body)),
      };
    });
  }

  delete(keys: string | readonly string[]) {
    const all = typeof keys === "string" ? [keys] : keys;
    return this.#operate("delete", all.join(" "), () => {
      for (const key of all) this.files.delete(key);
    });
  }

  list(options: { readonly prefix?: string; readonly cursor?: string; readonly limit?: number } = {}) {
    const { prefix = "", cursor, limit = LIST_PAGE } = options;
    return this.#operate("list", prefix, () => {
      const keys = [...this.files.keys()]
        .filter((key) => key.startsWith(prefix) && (cursor === undefined || key > cursor))
        .sort();
      const page = keys.slice(0, Math.min(limit, LIST_PAGE));
      const truncated = keys.length > page.length;
      return {
        objects: page.flatMap((key) => {
          const file = this.files.get(key);
          return file === undefined ? [] : [this.#head(key, file)];
        }),
        truncated,
        ...(truncated ? { cursor: page.at(-1) } : {}),
        delimitedPrefixes: [],
      };
    });
  }

  createMultipartUpload(key: string): never {
    throw new Error(`no file of a simulated world is large enough for a multipart upload: ${key}`);
  }

  #head(key: string, file: StoredFile) {
    return {
      key,
      size: file.bytes.byteLength,
      etag: file.etag,
      httpEtag: `"${file.etag}"`,
      uploaded: new Date(file.uploadedMs),
      httpMetadata: file.httpMetadata,
      customMetadata: file.customMetadata,
      writeHttpMetadata: () => undefined,
    };
  }
}

async function bytesOfValue(
  value: ReadableStream<Uint8Array> | ArrayBuffer | ArrayBufferView | string,
): Promise<Uint8Array> {
  if (typeof value === "string") return new TextEncoder().encode(value);
  if (value instanceof ReadableStream) {
    if (!("fixedLength" in value)) throw new TypeError("Provided readable stream must have a known length");
    return bytesOf(value);
  }
  if (value instanceof ArrayBuffer) return new Uint8Array(value.slice(0));
  return new Uint8Array(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength) as ArrayBuffer);
}
