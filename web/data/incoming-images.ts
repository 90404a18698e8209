import { type DraftImage, imageIdentity } from "../state/draft.ts";
import { imageProblem } from "../state/draft-check.ts";
import { changeDraft } from "./draft-store.ts";
import { keepFile } from "./file-store.ts";
import { notify } from "./notices.ts";

/** Takes files as reference images of the draft; those that upstream would refuse are named and left out. */
export async function takeFiles(files: readonly File[], max: number): Promise<void> {
  const images: DraftImage[] = [];
  for (const file of files) {
    const described = { kind: "file", name: file.name, contentType: file.type, bytes: file.size } as const;
    const problem = imageProblem({ ...described, key: "" });
    if (problem !== null) notify("failed", problem);
    else images.push({ ...described, key: await keepFile(file) });
  }
  takeImages(images, max);
}

/** Takes images as references of the draft, and says so when there are more than fit. */
export function takeImages(images: readonly DraftImage[], max: number): void {
  if (images.length === 0) return;
  const kept = changeDraft({ type: "add_images", images, max }).images.map(imageIdentity);
  if (images.every((image) => kept.includes(imageIdentity(image)))) return;
  notify("failed", `At most ${max} reference ${max === 1 ? "image fits" : "images fit"}; the others were left out.`);
}

/** Files among what was pasted or dropped; empty for text. */
export function filesOf(transfer: DataTransfer | null): File[] {
  return [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
}

/** The first http(s) address of an image or link dragged here from another page; null when there is none. */
export function addressOf(transfer: DataTransfer | null): string | null {
  const lines = transfer?.getData("text/uri-list").split(/\r?\n/) ?? [];
  return lines.find((line) => /^https?:\/\//i.test(line)) ?? null;
}
