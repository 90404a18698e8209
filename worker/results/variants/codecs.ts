/**
 * The WebAssembly codecs. Each use makes an instance and drops it, because WebAssembly memory never shrinks. Glue and module
 * are imported on first use: a Worker that makes no variants never loads them.
 */
import { ImageRefusal } from "./variant.ts";

/** The options of emscripten's glue, as jsquash's own `init` passes them. */
interface ModuleOptions {
  readonly noInitialRun: true;
  readonly instantiateWasm: (
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance) => void,
  ) => WebAssembly.Exports;
}
type Factory<Codec> = (options: ModuleOptions) => Promise<Codec>;

interface Encoder {
  encode(frame: Uint8ClampedArray, width: number, height: number, options: object): Uint8Array | null;
}
interface Decoder {
  decode(bytes: Uint8Array, turnUpright?: boolean): { readonly data: Uint8ClampedArray } | null;
}

/** `load` returns the glue's factory and the compiled module. */
type Load = () => Promise<
  readonly [glue: { readonly default: unknown }, wasm: { readonly default: WebAssembly.Module }]
>;

const CODECS = {
  webpEncoder: () =>
    Promise.all([
      import("@jsquash/webp/codec/enc/webp_enc_simd.js"),
      import("@jsquash/webp/codec/enc/webp_enc_simd.wasm"),
    ]),
  webpDecoder: () =>
    Promise.all([import("@jsquash/webp/codec/dec/webp_dec.js"), import("@jsquash/webp/codec/dec/webp_dec.wasm")]),
  jpegEncoder: () =>
    Promise.all([import("@jsquash/jpeg/codec/enc/mozjpeg_enc.js"), import("@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm")]),
  jpegDecoder: () =>
    Promise.all([import("@jsquash/jpeg/codec/dec/mozjpeg_dec.js"), import("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm")]),
} as const satisfies Record<string, Load>;

/** Runs `work` with a fresh instance. Returns its result and the final size of the instance's memory. */
async function withCodec<Codec, Result>(
  load: Load,
  work: (codec: Codec) => Result,
): Promise<{ readonly result: Result; readonly wasmBytes: number }> {
  const [glue, wasm] = await load();
  let memory: WebAssembly.Memory | null = null;
  // The packages' own types say the same, but use a global name that their glue does not export.
  const made = (glue.default as Factory<Codec>)({
    noInitialRun: true,
    instantiateWasm: (imports, done) => {
      const instance = new WebAssembly.Instance(wasm.default, imports);
      for (const item of Object.values(instance.exports)) if (item instanceof WebAssembly.Memory) memory = item;
      done(instance);
      return instance.exports;
    },
  });
  // The glue sets `location = { href: "" }` for itself, and has read it by now. A library that is evaluated later, as that
  // of MCP, would take it for the address of a page, and fail for the rest of this isolate's life.
  Reflect.deleteProperty(globalThis, "location");
  const codec = await made;
  const result = work(codec);
  // It is assigned in the callback, which the compiler does not follow.
  return { result, wasmBytes: (memory as WebAssembly.Memory | null)?.buffer.byteLength ?? 0 };
}

/** The result of a step, with the memory that the step took. */
export interface Coded<Bytes> {
  readonly bytes: Bytes;
  readonly wasmBytes: number;
}

/** jsquash's defaults; its encoders require all of them. `low_memory` takes a third less memory and a third more time. */
const WEBP_OPTIONS = {
  target_size: 0,
  target_PSNR: 0,
  method: 4,
  sns_strength: 50,
  filter_strength: 60,
  filter_sharpness: 0,
  filter_type: 1,
  partitions: 0,
  segments: 4,
  pass: 1,
  show_compressed: 0,
  preprocessing: 0,
  autofilter: 0,
  partition_limit: 0,
  alpha_compression: 1,
  alpha_filtering: 1,
  alpha_quality: 100,
  lossless: 0,
  exact: 0,
  image_hint: 0,
  emulate_jpeg_size: 0,
  thread_level: 0,
  low_memory: 1,
  near_lossless: 100,
  use_delta_palette: 0,
  use_sharp_yuv: 0,
};

/** Sequential and 4:2:0 at any quality: progressive 4:4:4, which mozjpeg chooses at 100, takes more than twice the memory. */
const JPEG_OPTIONS = {
  baseline: false,
  arithmetic: false,
  progressive: false,
  optimize_coding: true,
  smoothing: 0,
  color_space: 3,
  quant_table: 3,
  trellis_multipass: false,
  trellis_opt_zero: false,
  trellis_opt_table: false,
  trellis_loops: 1,
  auto_subsample: false,
  chroma_subsample: 2,
  separate_chroma_quality: false,
  chroma_quality: 75,
};

async function encode(
  load: Load,
  frame: Uint8ClampedArray,
  width: number,
  height: number,
  options: object,
): Promise<Coded<Uint8Array<ArrayBuffer>>> {
  const { result, wasmBytes } = await withCodec<Encoder, Uint8Array | null>(load, (encoder) =>
    encoder.encode(frame, width, height, options),
  );
  if (result === null) throw new Error(`the encoder gave nothing for ${width}*${height} pixels`);
  return { bytes: new Uint8Array(result), wasmBytes };
}

export function encodeWebp(frame: Uint8ClampedArray, width: number, height: number, quality: number) {
  return encode(CODECS.webpEncoder, frame, width, height, { ...WEBP_OPTIONS, quality });
}

export function encodeJpeg(frame: Uint8ClampedArray, width: number, height: number, quality: number) {
  return encode(CODECS.jpegEncoder, frame, width, height, { ...JPEG_OPTIONS, quality });
}

/** The decoders' glue returns an `ImageData`, which browsers have and this runtime does not. */
class PlainImageData {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;

  constructor(data: Uint8ClampedArray, width: number, height: number) {
    this.data = data;
    this.width = width;
    this.height = height;
  }
}

/** Decodes a whole image to RGBA, as it is stored: not turned. Throws `ImageRefusal` when it cannot be decoded. */
export async function decodeWhole(kind: "jpeg" | "webp", bytes: Uint8Array): Promise<Coded<Uint8ClampedArray>> {
  const globals = globalThis as { ImageData?: unknown };
  globals.ImageData ??= PlainImageData;
  const { result, wasmBytes } = await withCodec<Decoder, Uint8ClampedArray | null>(
    kind === "jpeg" ? CODECS.jpegDecoder : CODECS.webpDecoder,
    (decoder) => {
      try {
        // With `true` the JPEG codec would turn the image upright. The small frame is turned instead.
        return (kind === "jpeg" ? decoder.decode(bytes, false) : decoder.decode(bytes))?.data ?? null;
      } catch (error) {
        // A codec that fails throws a number, an exit or an abort. Anything else is an error of ours.
        if (error instanceof Error && !(error instanceof WebAssembly.RuntimeError)) throw error;
        return null;
      }
    },
  );
  if (result === null) throw new ImageRefusal(`is damaged: it cannot be decoded as ${kind.toUpperCase()}`);
  return { bytes: result, wasmBytes };
}
