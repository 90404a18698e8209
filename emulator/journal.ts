import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { LiveRule, ResultFault } from "./core/fault.ts";
import { SettingsPatch } from "./core/settings.ts";

/** The kind of a call. */
export const CallKind = z.enum(["submit", "task", "list", "cancel", "policy"]);
export type CallKind = z.infer<typeof CallKind>;

/** A call when it arrived. Keys are stored as the first 16 hex digits of their sha-256. */
export const CallStart = z.object({
  id: z.int(),
  atMs: z.number(),
  kind: CallKind,
  method: z.string(),
  path: z.string(),
  requestId: z.string(),
  model: z.string().nullable(),
  prompt: z.string().nullable(),
  keyHash: z.string().nullable(),
  /** The fault that was injected. */
  fault: z.string().nullable(),
});
export type CallStart = z.infer<typeof CallStart>;

/** How a call ended. `status: null`: the connection was cut without an answer. */
export const CallEnd = z.object({
  id: z.int(),
  endedAtMs: z.number(),
  status: z.int().nullable(),
  code: z.string().nullable(),
  taskId: z.string().nullable(),
  billedImages: z.int(),
  /** The caller had hung up before the answer was ready. */
  clientGone: z.boolean(),
});
export type CallEnd = z.infer<typeof CallEnd>;

/** An image that was made and billed, and its link. */
export const BilledImage = z.object({
  atMs: z.number(),
  callId: z.int(),
  taskId: z.string().nullable(),
  requestId: z.string(),
  model: z.string(),
  prompt: z.string(),
  keyHash: z.string(),
  index: z.int(),
  seed: z.int(),
  /** The path of its link, without the query. */
  path: z.string(),
  expiresAtMs: z.number(),
  width: z.int(),
  height: z.int(),
  bytes: z.int(),
  sha256: z.string(),
  /** The painter's name for its pixels; null: a plain file, which is made again at each download. */
  picture: z.string().nullable(),
  /** The size that the file is padded to. */
  paddedTo: z.int().nullable(),
  linkFault: z.object({ how: ResultFault, times: z.int().nullable(), delayMs: z.number() }).nullable(),
});
export type BilledImage = z.infer<typeof BilledImage>;

const WorkOrder = z.object({
  prompt: z.string(),
  negativePrompt: z.string().nullable(),
  /** Input images are counted here, not stored. */
  images: z.array(z.string()),
  size: z.string().nullable(),
  n: z.int(),
  seed: z.int().nullable(),
  promptExtend: z.boolean(),
  watermark: z.boolean(),
});

/** An accepted task, with the images that it will have made when it ends. */
export const TaskTaken = z.object({
  id: z.string(),
  callId: z.int(),
  requestId: z.string(),
  keyHash: z.string(),
  model: z.string(),
  family: z.enum(["older", "edit", "qwen2", "qwen3", "wan2.6", "z-image", "legacy"]),
  order: WorkOrder,
  submittedAtMs: z.number(),
  durationMs: z.number(),
  inProgress: z.int().nullable(),
  fate: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("succeed"), failedImages: z.int() }),
    z.object({ kind: z.literal("fail"), code: z.string(), message: z.string().optional() }),
    z.object({ kind: z.literal("stuck"), status: z.enum(["PENDING", "RUNNING"]) }),
    z.object({ kind: z.literal("unknown") }),
  ]),
  /** How many of the first reads answer `UNKNOWN`. */
  unseenReads: z.int().default(0),
  /** Billed when the task ends. `atMs` is set then; until then `expiresAtMs` is how long the link will be valid. */
  images: z.array(BilledImage),
});
export type TaskTaken = z.infer<typeof TaskTaken>;

/** A file that was uploaded with a policy. Its bytes are stored beside the journal, by their checksum. */
export const Upload = z.object({
  key: z.string(),
  keyHash: z.string(),
  model: z.string(),
  atMs: z.number(),
  bytes: z.int(),
  sha256: z.string(),
});
export type Upload = z.infer<typeof Upload>;

/** An issued policy: who may upload files below this folder, and for which model. */
export const UploadGrant = Upload.pick({ keyHash: true, model: true, atMs: true }).extend({ dir: z.string() });
export type UploadGrant = z.infer<typeof UploadGrant>;

/** One line of the state file: a fact. All lines together are the emulator's whole state. */
export const JournalEntry = z.discriminatedUnion("type", [
  z.object({ type: z.literal("call"), call: CallStart }),
  z.object({ type: z.literal("call-end"), end: CallEnd }),
  /** A start that counts against the quota of a key and model. */
  z.object({ type: z.literal("start"), lane: z.string(), atMs: z.number() }),
  z.object({ type: z.literal("billed"), images: z.array(BilledImage) }),
  z.object({ type: z.literal("task"), task: TaskTaken }),
  z.object({ type: z.literal("task-canceled"), id: z.string(), atMs: z.number() }),
  z.object({ type: z.literal("download"), path: z.string(), atMs: z.number(), status: z.int().nullable() }),
  z.object({ type: z.literal("upload-grant"), grant: UploadGrant }),
  z.object({ type: z.literal("upload"), upload: Upload }),
  z.object({ type: z.literal("settings"), patch: SettingsPatch }),
  z.object({ type: z.literal("rules"), rules: z.array(LiveRule) }),
]);
export type JournalEntry = z.infer<typeof JournalEntry>;

/** Facts in the order in which they happened, one line of JSON each. */
export interface Journal {
  /** The entries of an earlier run. */
  readonly earlier: readonly JournalEntry[];
  /** The entry is written when this returns: a SIGKILL of this process directly afterwards loses nothing. */
  append(entry: JournalEntry): void;
  clear(): void;
  close(): void;
}

/** A journal that ends with the process. */
export function memoryJournal(): Journal {
  return { earlier: [], append() {}, clear() {}, close() {} };
}

/** Complete lines only, because a kill during the write may have cut the last one. */
function readLines(file: string): { entries: JournalEntry[]; goodBytes: number } {
  if (!existsSync(file)) return { entries: [], goodBytes: 0 };
  const content = readFileSync(file);
  const goodBytes = content.lastIndexOf(0x0a) + 1;
  const lines = content.subarray(0, goodBytes).toString("utf8").split("\n").slice(0, -1);
  return {
    goodBytes,
    entries: lines.map((line, index) => {
      try {
        return JournalEntry.parse(JSON.parse(line));
      } catch (error) {
        throw new Error(
          `${file}, line ${index + 1}: not a fact of this emulator (${String(error)}); delete the file to start again`,
        );
      }
    }),
  };
}

/** A journal in a file, which is created with its folder when missing. Throws when a line cannot be read. */
export function fileJournal(file: string): Journal {
  mkdirSync(dirname(file), { recursive: true });
  const { entries, goodBytes } = readLines(file);
  // "a" creates a missing file and appends every write.
  const descriptor = openSync(file, "a+", 0o600);
  ftruncateSync(descriptor, goodBytes);
  let open = true;
  return {
    earlier: entries,
    append(entry) {
      // Calls that were open when the server stopped end after it.
      if (!open) return;
      writeSync(descriptor, `${JSON.stringify(entry)}\n`);
    },
    clear() {
      ftruncateSync(descriptor, 0);
    },
    close() {
      open = false;
      closeSync(descriptor);
    },
  };
}
