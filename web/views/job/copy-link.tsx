import type { Job } from "../../../schemas/job.ts";
import { paths } from "../../../schemas/paths.ts";
import { Button } from "../../components/button.tsx";
import { CopyButton } from "../../components/copy-button.tsx";
import { Icon } from "../../components/icon.tsx";
import { useLateDialog } from "../../components/late-dialog.ts";
import { useIdentity } from "../../data/access.ts";

const loadShare = () => import("./share-dialog.tsx");

/** Copies the job's address and says who can open it, or makes a link for anyone. */
export function CopyLink({ job }: { readonly job: Job }) {
  const identity = useIdentity();
  const client = identity?.role === "operator" ? "The job's client" : (identity?.client ?? "You");
  const share = useLateDialog(loadShare);
  return (
    <>
      <CopyButton
        icon="link"
        label="Copy link"
        text={new URL(paths.jobPage(job.id), location.origin).href}
        done={`Link copied. ${client} and the operator can open it, signed in; for anyone else, share the job`}
      />
      <Button busy={share.busy} onClick={share.ask}>
        <Icon name="share" /> Share
      </Button>
      {share.Dialog !== null && <share.Dialog id={job.id} open={share.open} onOpenChange={share.setOpen} />}
    </>
  );
}
