import type { Job } from "../../../schemas/job.ts";
import { paths } from "../../../schemas/paths.ts";
import { CopyButton } from "../../components/copy-button.tsx";
import { useIdentity } from "../../data/access.ts";

/** Copies the job's address, and says who can open it. */
export function CopyLink({ job }: { readonly job: Job }) {
  const identity = useIdentity();
  const client = identity?.role === "operator" ? "The job's client" : (identity?.client ?? "You");
  return (
    <CopyButton
      icon="link"
      label="Copy link"
      text={new URL(paths.jobPage(job.id), location.origin).href}
      done={`Link copied. ${client} and the operator can open it, signed in`}
    />
  );
}
