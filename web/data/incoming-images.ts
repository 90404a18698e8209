import { DarkroomProblem } from "../../client/errors.ts";
import { DraftImage, imageIdentity, imageName, jobOfPath, type StoredInput } from "../state/draft.ts";
import { imageProblem } from "../state/draft-check.ts";
import { failureWords } from "../state/failure-words.ts";
import { isShutOut } from "./access.ts";
import { darkroom } from "./darkroom.ts";
import { changeDraft, draft } from "./draft-store.ts";
import { keepFile } from "./file-store.ts";
import { clientOf, findClient } from "./live-jobs.ts";
import { notify } from "./notices.ts";
import { isOperator } from "./operator.ts";
import { createStore } from "./store.ts";

/** Why images of the last paste, drop or choice were left out. Shown beside the field. */
export const leftOut = createStore<readonly string[]>([]);

export function forgetLeftOut(): void {
  leftOut.set([]);
}

/** How many pastes, drops and choices of files are still being read: their images are not in the draft yet. */
export const reading = createStore(0);

/**
 * Adds files to the references of the draft. Files that cannot be read, or that upstream would refuse, are left out and named with
 * the reason. All files are left out when the operator's draft is for another client once they are read. Never rejects.
 */
export async function takeFiles(files: readonly File[], max: number): Promise<void> {
  reading.set(reading.get() + 1);
  try {
    await readFiles(files, max);
  } finally {
    reading.set(reading.get() - 1);
  }
}

async function readFiles(files: readonly File[], max: number): Promise<void> {
  const { client } = draft.get();
  const images: DraftImage[] = [];
  const problems: string[] = [];
  for (const file of files) {
    const described = { kind: "file", name: file.name, contentType: file.type, bytes: file.size } as const;
    const problem = imageProblem({ ...described, key: "" }) ?? (await decodingProblem(file));
    if (problem !== null) {
      problems.push(problem);
      continue;
    }
    try {
      images.push({ ...described, key: await keepFile(file) });
    } catch {
      problems.push(`${file.name} cannot be read: it was changed or removed meanwhile.`);
    }
  }
  // The operator's draft may be for another client by now. Files added before any client was chosen are for the one chosen since.
  if (isOperator() && client !== "" && draft.get().client !== client && images.length > 0) {
    const names = images.map(imageName).join(", ");
    take([], [...problems, `The form is no longer for ${client}: add ${names} again to use it for another.`], max);
    return;
  }
  take(images, problems, max);
}

/** Adds images to the references of the draft. False when not all could be added; the page then says why. */
export function takeImages(images: readonly DraftImage[], max: number): boolean {
  return take(images, [], max);
}

/**
 * Adds a print of the page to the references of the draft. The operator's draft takes it only where the list says whose print it
 * is. False when it was left out, which is then said. Never rejects.
 */
export async function takePrint(print: StoredInput, max: number): Promise<boolean> {
  const id = jobOfPath(print.path);
  if (!isOperator() || clientOf(id) !== null) return takeImages([print], max);
  try {
    // A job that was opened by its address does not say whose it is.
    if ((await findClient(await darkroom.get(id))) !== null) return takeImages([print], max);
  } catch (error) {
    if (await isShutOut(error)) return false;
    if (error instanceof DarkroomProblem && error.status < 500) {
      return take([], [`The image was left out: ${failureWords(error).detail}`], max);
    }
  }
  return take([], ["The server did not say whose print this is, so it was left out. Try it again."], max);
}

function take(given: readonly DraftImage[], found: readonly string[], max: number): boolean {
  const { images, problems } = withoutForeign(given, found);
  const kept = images.length === 0 ? [] : changeDraft({ type: "add_images", images, max }).images.map(imageIdentity);
  const all = images.every((image) => kept.includes(imageIdentity(image)));
  const tooMany = `At most ${max} reference ${max === 1 ? "image fits" : "images fit"}; the others were left out.`;
  const said = all ? problems : [...problems, tooMany];
  // The form for text alone has no field of images beside which it could be shown.
  if (draft.get().workflow === "image-from-reference") leftOut.set(said);
  else for (const problem of said) notify("failed", problem);
  return said.length === 0;
}

/** The images that may go into the operator's draft: the server gives no client an image of another one's job. */
function withoutForeign(images: readonly DraftImage[], problems: readonly string[]) {
  if (!isOperator()) return { images, problems };
  const owners = images.map((image) => (image.kind === "stored" ? clientOf(jobOfPath(image.path)) : null));
  const [owner] = owners.filter((name) => name !== null);
  if (owner !== undefined && draft.get().client === "") changeDraft({ type: "set", change: { client: owner } });
  const { client } = draft.get();
  const isOurs = (_: DraftImage, index: number) => owners[index] === null || owners[index] === client;
  const kept = images.filter(isOurs);
  if (kept.length === images.length) return { images, problems };
  return {
    images: kept,
    problems: [
      ...problems,
      `This print belongs to ${owner}, and the form is for ${client}: choose ${owner} there first.`,
    ],
  };
}

/** Every browser that the page runs in draws these; some browsers do not draw the other types that upstream takes. */
const DRAWN_BY_ALL: readonly string[] = ["image/png", "image/jpeg", "image/webp", "image/gif"];

/** Why a file with the type of an image cannot be drawn; null for one that can, and for types that not every browser draws. */
async function decodingProblem(file: File): Promise<string | null> {
  if (!DRAWN_BY_ALL.includes(file.type)) return null;
  try {
    (await createImageBitmap(file)).close();
    return null;
  } catch {
    return `${file.name} cannot be read as an image: it is damaged, or of another kind than its name says.`;
  }
}

/** Files among what was pasted or dropped; empty for text. */
export function filesOf(transfer: DataTransfer | null): File[] {
  return [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
}

/** The type of data that marks a dragged print of this page, among everything that can be dragged to it. */
export const PRINT_DATA = "application/x-darkroom-print";

/** The print of this page that is dragged; null for anything else. */
export function printOf(transfer: DataTransfer | null): StoredInput | null {
  const text = transfer?.getData(PRINT_DATA) ?? "";
  if (text === "") return null;
  const parsed = DraftImage.safeParse(JSON.parse(text));
  return parsed.success && parsed.data.kind === "stored" ? parsed.data : null;
}

/** The first http(s) address of an image or link dragged here from another page; null when there is none. */
export function addressOf(transfer: DataTransfer | null): string | null {
  const lines = transfer?.getData("text/uri-list").split(/\r?\n/) ?? [];
  return lines.find((line) => /^https?:\/\//i.test(line)) ?? null;
}
