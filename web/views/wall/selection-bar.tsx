import { useState } from "react";
import type { BulkAction } from "../../../schemas/bulk.ts";
import { Button } from "../../components/button.tsx";
import { passFocusOn } from "../../components/focus.ts";
import { Icon } from "../../components/icon.tsx";
import { useLateDialog } from "../../components/late-dialog.ts";
import { actOnMany, bulkProgress, jobsWords, MANY, saveZip } from "../../data/bulk.ts";
import { jobList } from "../../data/live-jobs.ts";
import { serverNowMs } from "../../data/server-clock.ts";
import { useStore } from "../../data/store.ts";
import { endSelecting, selectAll, selection } from "../../data/wall.ts";
import { endsUnpinned, type ListedJob } from "../../state/listed-job.ts";
import styles from "./selection-bar.module.css";

const loadQuestion = () => import("../../components/confirm-dialog.tsx");

/** Actions without a question, unless they remove jobs. */
const ACTIONS: readonly BulkAction[] = ["retry", "cancel", "pin", "unpin"];

/** The actions on the chosen jobs, at the window's lower edge while jobs are being chosen. */
export default function SelectionBar({ shown }: { readonly shown: readonly ListedJob[] }) {
  const { jobs } = useStore(jobList);
  const selected = useStore(selection);
  // Actions apply only to jobs that the wall shows, because nobody sees the jobs that a filter hides.
  const chosen = shown.filter(({ id }) => selected.has(id));
  const hidden = [...selected].filter((id) => jobs.has(id)).length - chosen.length;
  const progress = useStore(bulkProgress);
  const question = useLateDialog(loadQuestion);
  // The action of the question, kept so that its words do not change while the dialog closes.
  const [asked, setAsked] = useState<BulkAction>("delete");
  const [busyInside, setBusyInside] = useState(false);
  const images = imagesOf(chosen);
  const busy = progress !== null;
  const removed = asked === "unpin" ? chosen.filter((job) => endsUnpinned(job, serverNowMs())) : chosen;

  const press = (action: BulkAction) => {
    const removes = action === "delete" || chosen.some((job) => endsUnpinned(job, serverNowMs()));
    if (!removes || (action !== "delete" && action !== "unpin")) return actOnMany(action, chosen);
    setAsked(action);
    return question.ask();
  };
  const confirm = async () => {
    setBusyInside(true);
    await actOnMany(asked, chosen);
    setBusyInside(false);
    question.setOpen(false);
    if (asked === "delete" && hidden === 0) endSelecting();
  };
  return (
    <section ref={passFocusToWall} className={styles.bar} aria-label="Selected jobs" data-lower-edge data-region>
      <p className={styles.count} role="status" tabIndex={-1} data-heir>
        {progress ?? `${jobsWords(chosen.length)} selected`}
        {progress === null && images > 0 && <span>{images === 1 ? ", 1 image" : `, ${images} images`}</span>}
        {progress === null && hidden > 0 && <span>{`, ${hidden} more hidden by the filter`}</span>}
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
        {ACTIONS.map((action) => {
          const { verb, takes } = MANY[action];
          const count = chosen.filter(takes).length;
          return (
            count > 0 && (
              <Button key={action} ref={passFocusOn} busy={busy || question.busy} onClick={() => press(action)}>
                {`${verb} ${count}`}
              </Button>
            )
          );
        })}
        {chosen.length > 0 && (
          <Button look="danger" busy={busy || question.busy} onClick={() => press("delete")}>
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
          title={`${asked === "unpin" ? "Unpin and delete" : "Delete"} ${jobsWords(removed.length)}?`}
          verb={asked === "unpin" ? "Unpin and delete" : "Delete"}
          busy={busyInside}
          onConfirm={confirm}
        >
          {removalWords(asked, removed)}
        </question.Dialog>
      )}
    </section>
  );
}

/** The focus in the bar, or in its question, passes to the wall's heading when the bar is removed. */
function passFocusToWall(bar: HTMLElement | null): (() => void) | undefined {
  if (bar === null) return;
  return () => {
    const holder = document.activeElement?.closest("[role=alertdialog]") ?? bar;
    if (!holder.contains(document.activeElement)) return;
    requestAnimationFrame(() => document.getElementById("wall-title")?.focus({ preventScroll: true }));
  };
}

function imagesOf(jobs: readonly ListedJob[]): number {
  return jobs.reduce((sum, { output }) => sum + (output?.images.length ?? 0), 0);
}

function removalWords(action: BulkAction, jobs: readonly ListedJob[]): string {
  const images = imagesOf(jobs);
  const what = `The jobs and their ${images === 1 ? "image" : `${images} images`}`;
  if (action === "unpin") return `${what} are kept by the pin only: unpinned, they are removed at once, for everyone.`;
  const pinned = jobs.filter((job) => job.pinned).length;
  const which =
    pinned === 0 ? "" : ` ${pinned === jobs.length ? "All" : pinned} of them ${pinned === 1 ? "is" : "are"} pinned.`;
  return `${what} are removed for everyone. This cannot be undone.${which}`;
}
