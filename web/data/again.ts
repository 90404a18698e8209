import type { Job } from "../../schemas/job.ts";
import { draftFromJob } from "../state/draft-from-job.ts";
import { changeDraft } from "./draft-store.ts";
import { readFile } from "./file-store.ts";
import { jobList } from "./live-jobs.ts";
import { notify } from "./notices.ts";
import { chooseClient, isOperator } from "./operator.ts";

/** Puts a job's request into the form; says which reference images this browser no longer has. */
export async function composeAgain(job: Job): Promise<void> {
  const draft = draftFromJob(job);
  const found = await Promise.all(
    draft.images.map(async (image) => {
      if (image.kind === "url") return image;
      const file = await readFile(image.key);
      return file === null ? null : { ...image, name: file.name };
    }),
  );
  const images = found.filter((image) => image !== null);
  // Where it is not known whose job it is, the form asks: whoever was chosen before may be another.
  if (isOperator.get()) chooseClient(jobList.get().jobs.get(job.id)?.client ?? "");
  changeDraft({ type: "replace", draft: { ...draft, images } });
  const lost = draft.images.length - images.length;
  if (lost > 0)
    notify(
      "failed",
      `${lost === 1 ? "A reference image is" : `${lost} reference images are`} not in this browser: add again.`,
    );
}
