import { z } from "zod";
import { type Job, Metadata, OnUncertain, type OutputImage, Priority, PromptExtendMode } from "../../schemas/job.ts";
import type { ModelInfo } from "../../schemas/limits.ts";
import { paths, WORKFLOWS, type Workflow } from "../../schemas/paths.ts";

/** An input image of a draft: an address, a file kept in this browser under its key, or an image of a job by its path. */
export const DraftImage = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("url"), url: z.string() }),
  z.object({
    kind: z.literal("stored"),
    /** `/api/jobs/job_…/images/0`: an address of the API that this browser's session opens. */
    path: z.string(),
    name: z.string(),
    contentType: z.string(),
    bytes: z.number(),
  }),
  z.object({
    kind: z.literal("file"),
    key: z.string(),
    name: z.string(),
    contentType: z.string(),
    bytes: z.number(),
  }),
]);
export type DraftImage = z.infer<typeof DraftImage>;

/** An image that the server has already. */
export type StoredInput = Extract<DraftImage, { kind: "stored" }>;

/** The form's content. `null` leaves the choice to the model or to the server. */
export const Draft = z.object({
  workflow: z.enum(WORKFLOWS),
  prompt: z.string(),
  negativePrompt: z.string(),
  model: z.string().nullable(),
  size: z.string().nullable(),
  n: z.int().min(1),
  /** As typed; checked when it is used. */
  seed: z.string(),
  promptExtend: z.boolean().nullable(),
  watermark: z.boolean(),
  priority: Priority,
  onUncertain: OnUncertain,
  images: z.array(DraftImage),
  // The fields from here on are absent in drafts that an older page stored.
  /** The client for whom the operator submits; empty before one is chosen, and for a client, who submits for itself. */
  client: z.string().default(""),
  promptExtendMode: PromptExtendMode.nullable().default(null),
  thinking: z.boolean().nullable().default(null),
  /** As typed; empty leaves it to the server. */
  maxAttempts: z.string().default(""),
  /** In minutes, as typed; empty leaves it to the server. */
  deadline: z.string().default(""),
  metadata: Metadata.default({}),
});
export type Draft = z.infer<typeof Draft>;

export const FRESH_DRAFT: Draft = {
  workflow: "image-from-text",
  prompt: "",
  negativePrompt: "",
  model: null,
  size: null,
  n: 1,
  seed: "",
  promptExtend: null,
  watermark: false,
  priority: "normal",
  onUncertain: "retry",
  images: [],
  client: "",
  promptExtendMode: null,
  thinking: null,
  maxAttempts: "",
  deadline: "",
  metadata: {},
};

/** A stored draft; a fresh one when it cannot be read or has another shape. */
export function parseDraft(stored: string | null): Draft {
  if (stored === null) return FRESH_DRAFT;
  try {
    return Draft.parse(JSON.parse(stored));
  } catch {
    return FRESH_DRAFT;
  }
}

/** Several stored drafts; none when they cannot be read. */
export function parseDrafts(stored: string | null): readonly Draft[] {
  if (stored === null) return [];
  try {
    return z.array(Draft).parse(JSON.parse(stored));
  } catch {
    return [];
  }
}

export type DraftAction =
  | { readonly type: "set"; readonly change: Partial<Omit<Draft, "workflow" | "model" | "images">> }
  | { readonly type: "workflow"; readonly workflow: Workflow }
  | { readonly type: "model"; readonly model: string }
  /** Adds images and makes it a reference draft. Images above `max`, counted with those already there, are left out. */
  | { readonly type: "add_images"; readonly images: readonly DraftImage[]; readonly max: number }
  | { readonly type: "remove_image"; readonly index: number }
  | { readonly type: "move_image"; readonly from: number; readonly to: number }
  | { readonly type: "replace"; readonly draft: Draft };

/** How a prompt may be enriched in a workflow: `agent` is for requests without images. */
export function extendModesOf(workflow: Workflow): readonly PromptExtendMode[] {
  return workflow === "image-from-text" ? PromptExtendMode.options : ["direct"];
}

/**
 * Pure. Another model or workflow takes other sizes, so the size is reset to the model's own choice; so is a mode that the new
 * workflow does not take.
 */
export function reduceDraft(draft: Draft, action: DraftAction): Draft {
  switch (action.type) {
    case "set":
      return { ...draft, ...action.change };
    case "workflow":
      if (action.workflow === draft.workflow) return draft;
      return {
        ...draft,
        workflow: action.workflow,
        model: null,
        size: null,
        promptExtendMode: extendModesOf(action.workflow).find((mode) => mode === draft.promptExtendMode) ?? null,
      };
    case "model":
      return { ...draft, model: action.model, size: null };
    case "add_images": {
      const held = draft.images.map(imageIdentity);
      const given = new Map(action.images.map((image) => [imageIdentity(image), image]));
      const fresh = [...given].filter(([identity]) => !held.includes(identity)).map(([, image]) => image);
      const room = Math.max(0, action.max - draft.images.length);
      const images = [...draft.images, ...fresh.slice(0, room)];
      return { ...reduceDraft(draft, { type: "workflow", workflow: "image-from-reference" }), images };
    }
    case "remove_image":
      return { ...draft, images: draft.images.filter((_, index) => index !== action.index) };
    case "move_image": {
      const images = [...draft.images];
      const [moved] = images.splice(action.from, 1);
      if (moved === undefined) return draft;
      images.splice(action.to, 0, moved);
      return { ...draft, images };
    }
    case "replace":
      return action.draft;
  }
}

/** Equal for the same image; a key for lists. */
export function imageIdentity(image: DraftImage): string {
  switch (image.kind) {
    case "url":
      return image.url;
    case "stored":
      return image.path;
    case "file":
      return image.key;
  }
}

/** The name of an input image: its file's name, or its address. */
export function imageName(image: DraftImage): string {
  return image.kind === "url" ? image.url : image.name;
}

/**
 * Whether nothing was written or set in a draft, so that it may be replaced without being put aside. The workflow and the client
 * do not count: each is one press, and both are chosen before anything else.
 */
export function isUntouched(draft: Draft): boolean {
  const { workflow, client } = draft;
  const written = { ...draft, prompt: draft.prompt.trim(), negativePrompt: draft.negativePrompt.trim() };
  const fresh: Draft = { ...FRESH_DRAFT, workflow, client };
  const fields = Object.keys(fresh) as (keyof Draft)[];
  return fields.every((field) => JSON.stringify(written[field]) === JSON.stringify(fresh[field]));
}

/** Where the form has each field of a draft: in sight, folded away, or folded away for the models with that support. */
const PLACES: Readonly<Record<keyof Draft, "in_sight" | "folded" | keyof ModelInfo["supports"]>> = {
  workflow: "in_sight",
  prompt: "in_sight",
  negativePrompt: "negativePrompt",
  model: "in_sight",
  size: "in_sight",
  n: "in_sight",
  seed: "in_sight",
  promptExtend: "promptExtend",
  watermark: "watermark",
  priority: "folded",
  onUncertain: "folded",
  images: "in_sight",
  client: "in_sight",
  promptExtendMode: "promptExtendMode",
  thinking: "thinking",
  maxAttempts: "folded",
  deadline: "folded",
  metadata: "folded",
};

/** Whether the form folds a field of a draft away. */
export function isFolded(field: keyof Draft): boolean {
  return PLACES[field] !== "in_sight";
}

/** What the server takes unless its settings say otherwise, which the draft of a repeated job always has: 4 attempts, and a day in minutes. */
const USUAL: Partial<Draft> = { maxAttempts: "4", deadline: "1440" };

/** Whether a folded field that the model supports has another value than the usual one. */
export function isFoldedSet(draft: Draft, supports: ModelInfo["supports"]): boolean {
  const fields = Object.keys(PLACES) as (keyof Draft)[];
  return fields.some((field) => {
    const place = PLACES[field];
    const isShown = place === "folded" || (place !== "in_sight" && supports[place]);
    const value = JSON.stringify(draft[field]);
    return isShown && value !== JSON.stringify(FRESH_DRAFT[field]) && value !== JSON.stringify(USUAL[field]);
  });
}

/** A job's finished image as an input image of a draft. */
export function printAsInput(job: { readonly id: string; readonly prompt: string }, image: PrintFacts): StoredInput {
  const { index, contentType, bytes } = image;
  const name = job.prompt.trim().replace(/\s+/g, " ");
  return { kind: "stored", path: paths.jobImage(job.id, index), name, contentType, bytes };
}

/** The job that a stored image belongs to, by the image's path. */
export function jobOfPath(path: string): string {
  return path.split("/")[3] ?? "";
}

export type PrintFacts = Pick<OutputImage, "index" | "contentType" | "bytes">;

/**
 * A draft with a job's whole request, its metadata included. An upload of the job is named by its path, so it works on any
 * device. `client`: the job's client; empty where it is not known.
 */
export function draftFromJob(job: JobToRepeat, client = ""): Draft {
  const { request } = job;
  return {
    client,
    workflow: job.workflow,
    model: job.model,
    prompt: request.prompt,
    negativePrompt: request.negativePrompt ?? "",
    size: request.size,
    n: request.n,
    seed: request.seed === null ? "" : String(request.seed),
    promptExtend: request.promptExtend,
    promptExtendMode: request.promptExtendMode ?? null,
    thinking: request.thinking ?? null,
    watermark: request.watermark ?? false,
    priority: request.priority,
    onUncertain: request.onUncertain,
    maxAttempts: String(request.maxAttempts),
    deadline: minutesOf(request.deadlineSeconds),
    metadata: job.metadata,
    images: request.images.map((image, index): DraftImage => {
      if (image.kind === "url") return image;
      const { contentType, bytes } = image;
      // A job of an older server has no address for its uploads: only this browser may still have the file.
      if (image.url === undefined) {
        return { kind: "file", key: image.sha256, name: `Image ${index + 1}`, contentType, bytes };
      }
      return { kind: "stored", path: paths.jobInput(job.id, index), name: `Image ${index + 1}`, contentType, bytes };
    }),
  };
}

/** The parts of a job that are needed to repeat it. */
export type JobToRepeat = Pick<Job, "id" | "workflow" | "model" | "request" | "metadata">;

/** Seconds as the form shows them, in minutes: `1.5` for 90. Whole seconds survive the conversion back. */
function minutesOf(seconds: number): string {
  return String(Number((seconds / 60).toFixed(3)));
}

/**
 * Whether text that was pasted together with files is meant to be inserted. Pure. Spreadsheets and slides add a picture of
 * their text; file managers add the names or paths of the files as text.
 */
export function isMeantAsText(text: string, fileNames: readonly string[]): boolean {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  return lines.some((line) => !fileNames.includes(lastStep(line.trim())));
}

/** The last step of a path or `file:` address; any other text unchanged. */
function lastStep(line: string): string {
  const isAddress = line.startsWith("file://");
  const step = isAddress || /^(\/|[a-z]:\\)/i.test(line) ? (line.split(/[/\\]/).at(-1) ?? line) : line;
  if (!isAddress) return step;
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}
