import { useState } from "react";
import { Button } from "../../components/button.tsx";
import { Icon } from "../../components/icon.tsx";
import { useLateDialog } from "../../components/late-dialog.ts";
import { actOnMany, BULK_ACTIONS, bulkProgress, jobsWords, saveZip } from "../../data/bulk.ts";
import { jobList } from "../../data/live-jobs.ts";
import { useStore } from "../../data/store.ts";
import { endSelecting, selectAll, selection } from "../../data/wall.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import styles from "./selection-bar.module.css";

const loadQuestion = () => import("../../components/confirm-dialog.tsx");

/** What can be done with the chosen jobs, at the window's lower edge for as long as jobs are chosen. */
export function SelectionBar({ shown }: { readonly shown: readonly ListedJob[] }) {
  const { jobs } = useStore(jobList);
  const chosen = [...useStore(selection)].flatMap((id) => jobs.get(id) ?? []);
  const progress = useStore(bulkProgress);
  const question = useLateDialog(loadQuestion);
  const [deleting, setDeleting] = useState(false);
  const images = chosen.reduce((sum, { output }) => sum + (output?.images.length ?? 0), 0);
  const busy = progress !== null;

  const remove = async () => {
    setDeleting(true);
    await actOnMany(BULK_ACTIONS.delete, chosen);
    setDeleting(false);
    question.setOpen(false);
    endSelecting();
  };
  return (
    <section className={styles.bar} aria-label="Selected jobs">
      <p className={styles.count} role="status">
        {progress ?? `${jobsWords(chosen.length)} selected`}
        {progress === null && images > 0 && <span>{images === 1 ? ", 1 image" : `, ${images} images`}</span>}
      </p>
      <div className={styles.actions}>
        {chosen.length < shown.length && (
          <Button look="quiet" onClick={() => selectAll(shown.map(({ id }) => id))}>
            All {shown.length}
          </Button>
        )}
        {images > 0 && (
          <Button busy={busy} onClick={() => saveZip(chosen)}>
            <Icon name="download" /> Zip
          </Button>
        )}
        {[BULK_ACTIONS.retry, BULK_ACTIONS.cancel].map(
          (action) =>
            chosen.some(action.takes) && (
              <Button key={action.verb} busy={busy} onClick={() => actOnMany(action, chosen)}>
                {`${action.verb} ${chosen.filter(action.takes).length}`}
              </Button>
            ),
        )}
        {chosen.length > 0 && (
          <Button look="danger" busy={busy || question.busy} onClick={question.ask}>
            <Icon name="trash" /> Delete
          </Button>
        )}
        <Button look="quiet" onClick={endSelecting}>
          <Icon name="close" /> Done
        </Button>
      </div>
      {question.Dialog !== null && (
        <question.Dialog
          open={question.open}
          onOpenChange={question.setOpen}
          title={`Delete ${jobsWords(chosen.length)}?`}
          verb="Delete"
          busy={deleting}
          onConfirm={remove}
        >
          {`The jobs and their ${images === 1 ? "image is" : `${images} images are`} removed for everyone. This cannot be undone.`}
        </question.Dialog>
      )}
    </section>
  );
}
