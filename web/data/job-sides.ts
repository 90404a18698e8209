import { type ListedJob, type Sides, sidesOfJob } from "../state/listed-job.ts";
import { limits } from "./limits.ts";
import { useStore } from "./store.ts";

/** The sides of a job's images, as far as anything tells them; null where the model decides. */
export function useJobSides(job: Pick<ListedJob, "model" | "size" | "output">): Sides | null {
  return sidesOfJob(job, useStore(limits)?.models ?? []);
}
