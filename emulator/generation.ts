/** A generation's work: draws pictures, issues links, bills what was made. */
import { createHash, randomInt } from "node:crypto";
import type { MadeImage } from "./core/answer-body.ts";
import type { Fault } from "./core/fault.ts";
import { NEWER_LINK_MS, OLDER_LINK_MS, type ResultNaming, resultPath } from "./core/ids.ts";
import { outputSize } from "./core/image-size.ts";
import type { Model } from "./core/model-table.ts";
import { hashText, sampleLatencyMs } from "./core/random.ts";
import type { Checked, WorkOrder } from "./core/request-check.ts";
import { type InputImage, type OpenUpload, readInputImage } from "./drawing/input-image.ts";
import type { Painter } from "./drawing/painter.ts";
import { plainFile } from "./drawing/png.ts";
import type { Emulator } from "./emulator.ts";
import type { BilledImage } from "./journal.ts";
import { resultLink } from "./oss.ts";

const MAX_SEED = 2_147_483_647;

/** One accepted generation. */
export interface Work {
  readonly callId: number;
  readonly requestId: string;
  readonly keyHash: string;
  readonly model: Model;
  readonly order: WorkOrder;
  readonly inputs: readonly InputImage[];
  readonly asTask: boolean;
  readonly fault: Fault | null;
  /** The error of an accepted task that fails: bad parameters on a legacy path. */
  readonly failsWith: { readonly code: string; readonly message: string } | null;
}

/** Reads the input images in order. The first bad one refuses the call. `openUpload` reads the file at an oss address. */
export async function readInputs(order: WorkOrder, openUpload: OpenUpload): Promise<Checked<InputImage[]>> {
  const inputs: InputImage[] = [];
  for (const source of order.images) {
    const answer = await readInputImage(source, openUpload);
    if (!answer.ok) return answer;
    inputs.push(answer.image);
  }
  return { ok: true, value: inputs };
}

/** How long this generation takes, a `slow` fault included. */
export function workMs(emulator: Emulator, fault: Fault | null): number {
  const { latencyMs, latencySpread } = emulator.state.settings;
  const usual = sampleLatencyMs(latencyMs, latencySpread, emulator.state.random);
  return usual + (fault?.type === "slow" ? fault.extraMs : 0);
}

function namingOf(model: Model, asTask: boolean): ResultNaming {
  if (model.family === "qwen3") return "serving";
  return asTask || model.name === "qwen-image-edit" ? "numbered" : "older";
}

function linkMs(emulator: Emulator, model: Model, fault: Fault | null): number {
  if (fault?.type === "link-expires") return fault.inMs;
  const { linkExpiryMs } = emulator.state.settings;
  if (linkExpiryMs !== null) return linkExpiryMs;
  return model.family === "qwen3" || model.family === "wan2.6" || model.family === "legacy"
    ? NEWER_LINK_MS
    : OLDER_LINK_MS;
}

/**
 * Draws the images and issues their links, without billing them yet. `atMs` and `expiresAtMs` are relative to the end of the
 * work: 0, and how long the link is valid.
 */
export async function makeImages(emulator: Emulator, work: Work): Promise<BilledImage[]> {
  const { state, painter, clock } = emulator;
  const { model, order, fault } = work;
  const { images: mode, imageBytes } = state.settings;
  const { width, height } = outputSize(model, order.size, work.inputs.at(-1)?.size ?? null);
  const seed = order.seed ?? Math.floor(state.random() * MAX_SEED);
  const spread = randomInt(0, 2 ** 32);
  const previews = work.inputs.map(({ preview }) => preview);
  const linkFault = fault?.type === "result" ? { how: fault.how, times: fault.times, delayMs: fault.delayMs } : null;
  const made: BilledImage[] = [];
  // One after another, because concurrent drawing only delays all of them on a small machine.
  for (let index = 0; index < order.n; index++) {
    const { prompt, negativePrompt, watermark } = order;
    const picture = { prompt, negativePrompt, watermark, model: model.name, width, height, seed, index };
    const name = mode === "drawn" ? await painter.paint(picture, previews) : null;
    const file = name === null ? plainFile(picture, imageBytes) : await painter.file(name, imageBytes);
    if (file === null) throw new Error(`makeImages: picture ${name} vanished`);
    made.push({
      atMs: 0,
      callId: work.callId,
      taskId: null,
      requestId: work.requestId,
      model: model.name,
      prompt,
      keyHash: work.keyHash,
      index,
      seed,
      path: resultPath(namingOf(model, work.asTask), work.requestId, index, seed, clock.now(), hashText(`${spread}`)),
      expiresAtMs: linkMs(emulator, model, fault),
      width,
      height,
      bytes: file.length,
      sha256: createHash("sha256").update(file).digest("hex"),
      picture: name,
      paddedTo: imageBytes,
      linkFault,
    });
  }
  return made;
}

/** Bills images now. They are recorded when it returns. */
export function billNow(emulator: Emulator, images: readonly BilledImage[]): BilledImage[] {
  const nowMs = emulator.clock.now();
  const billed = images.map((image) => ({ ...image, atMs: nowMs, expiresAtMs: nowMs + image.expiresAtMs }));
  emulator.state.bill(billed);
  return billed;
}

/** The file of a billed image; null when its picture no longer exists. */
export async function fileOf(painter: Painter, image: BilledImage): Promise<Buffer | null> {
  return image.picture === null ? plainFile(image, image.paddedTo) : painter.file(image.picture, image.paddedTo);
}

/** Images in the form of an answer. */
export function shown(emulator: Emulator, images: readonly BilledImage[]): Promise<MadeImage[]> {
  return Promise.all(
    images.map(async (image) => {
      const { path, expiresAtMs, width, height } = image;
      const file = image.linkFault?.how === "inline" ? await fileOf(emulator.painter, image) : null;
      const url =
        file === null
          ? resultLink(emulator.origin(), path, expiresAtMs)
          : `data:image/png;base64,${file.toString("base64")}`;
      return { url, width, height };
    }),
  );
}
