import { z } from "zod";
import { OnUncertain, Priority } from "../../schemas/job.ts";
import { WORKFLOWS, type Workflow } from "../../schemas/paths.ts";

/** An input image of a draft: an address, or a file kept in this browser under its key. */
export const DraftImage = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("url"), url: z.string() }),
  z.object({
    kind: z.literal("file"),
    key: z.string(),
    name: z.string(),
    contentType: z.string(),
    bytes: z.number(),
  }),
]);
export type DraftImage = z.infer<typeof DraftImage>;

/** What is being composed. `null` leaves the choice to the model or to the server. */
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
};

/** A stored draft; a fresh one when it cannot be read or is of another time. */
export function parseDraft(stored: string | null): Draft {
  if (stored === null) return FRESH_DRAFT;
  try {
    return Draft.parse(JSON.parse(stored));
  } catch {
    return FRESH_DRAFT;
  }
}

export type DraftAction =
  | { readonly type: "set"; readonly change: Partial<Omit<Draft, "workflow" | "model" | "images">> }
  | { readonly type: "workflow"; readonly workflow: Workflow }
  | { readonly type: "model"; readonly model: string }
  /** Images that came in: they make it a reference draft. Those that do not fit beside what it holds are left out. */
  | { readonly type: "add_images"; readonly images: readonly DraftImage[]; readonly max: number }
  | { readonly type: "remove_image"; readonly index: number }
  | { readonly type: "move_image"; readonly from: number; readonly to: number }
  | { readonly type: "replace"; readonly draft: Draft };

/** Pure. Another model or workflow takes other sizes, so the size goes back to the model's own choice. */
export function reduceDraft(draft: Draft, action: DraftAction): Draft {
  switch (action.type) {
    case "set":
      return { ...draft, ...action.change };
    case "workflow":
      if (action.workflow === draft.workflow) return draft;
      return { ...draft, workflow: action.workflow, model: null, size: null };
    case "model":
      return { ...draft, model: action.model, size: null };
    case "add_images": {
      const held = draft.images.map(imageIdentity);
      const fresh = action.images.filter((image) => !held.includes(imageIdentity(image)));
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

/** Equal for the same picture; a key for lists. */
export function imageIdentity(image: DraftImage): string {
  return image.kind === "url" ? image.url : image.key;
}
