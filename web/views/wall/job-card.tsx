import { type DragEvent, type MouseEvent, memo, type PointerEvent, type ReactNode, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { paths } from "../../../schemas/paths.ts";
import { CancelOrRetry } from "../../components/cancel-or-retry.tsx";
import { DownloadLink } from "../../components/download-link.tsx";
import { markPlace } from "../../components/focus.ts";
import { Icon, type IconName } from "../../components/icon.tsx";
import { MISSING_PART } from "../../components/late-dialog.ts";
import { usePin } from "../../components/pin.tsx";
import { PrintSheet } from "../../components/print-sheet.tsx";
import { ProgressLine, StandingLine } from "../../components/standing-line.tsx";
import { PRINT_DATA } from "../../data/incoming-images.ts";
import { addAsReference, composeAgain, submitAgain } from "../../data/job-actions.ts";
import { useJobSides, useLaneBlock } from "../../data/limits.ts";
import { notify } from "../../data/notices.ts";
import { useIsOperator } from "../../data/operator.ts";
import { useRunProgress } from "../../data/run-progress.ts";
import { useServerMinute, useServerNow, useServerNowWhile } from "../../data/server-clock.ts";
import { useStore } from "../../data/store.ts";
import { type Density, isSelecting, lastWallPlace, selection, selectTo, toggleSelected } from "../../data/wall.ts";
import { printAsInput } from "../../state/draft.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import { listedRun } from "../../state/progress.ts";
import { BRIEF_FAILURES, type Standing, standingOf, standingWith, wantsChanges } from "../../state/standing.ts";
import { agoWords } from "../../state/time-words.ts";
import styles from "./job-card.module.css";

interface JobCardProps {
  readonly job: ListedJob;
  readonly density: Density;
  /** The ids of all jobs on the wall in their order, for choosing a range. */
  readonly order: () => readonly string[];
}

/** A finger that rests on a card this long, in ms, chooses it. */
const LONG_PRESS_MS = 450;

/**
 * One job on the wall: its print, its prompt, its state. A press anywhere on the card opens the job, or selects it while jobs are
 * being selected. It is the same element from the queue to the image, so that the keyboard focus stays on it.
 */
export const JobCard = memo(function JobCard({ job, density, order }: JobCardProps) {
  const isRunning = job.status === "running";
  const progress = useRunProgress(listedRun(job));
  const selecting = useStore(isSelecting);
  const chosen = useStore(selection).has(job.id);
  const choose = (withRange: boolean) => (withRange ? selectTo(job.id, order()) : toggleSelected(job.id));
  const longPress = useLongPress(() => choose(false));
  const onClickCapture = (event: MouseEvent) => {
    const isControl = (event.target as Element).closest("button, label, [download]") !== null;
    if (longPress.ended() || (!isControl && (selecting || event.shiftKey))) {
      event.preventDefault();
      event.stopPropagation();
      if (!longPress.ended()) choose(event.shiftKey);
    }
  };
  return (
    <article
      className={styles.card}
      data-job={job.id}
      data-status={job.status}
      data-density={density}
      data-chosen={chosen || undefined}
      data-selecting={selecting || undefined}
      onClickCapture={onClickCapture}
      {...longPress.handlers}
    >
      <Picture job={job} density={density} fraction={progress?.fraction ?? 0} />
      <label className={styles.choose} title="Select">
        <input
          type="checkbox"
          checked={chosen}
          onChange={({ nativeEvent }) => choose((nativeEvent as unknown as { shiftKey?: boolean }).shiftKey ?? false)}
          aria-label={`Select: ${job.prompt}`}
        />
        <Icon name="ready" />
      </label>
      {job.pinned && (
        <span className={styles.pinned} title="Pinned: kept until it is unpinned">
          <Icon name="pin" /> <span>Pinned</span>
        </span>
      )}
      <div className={styles.progress}>
        {progress !== null && (
          <ProgressLine fraction={progress.fraction} label={`Estimated progress of ${job.prompt}`} />
        )}
      </div>
      <h4 className={styles.prompt} dir="auto">
        <Link href={paths.jobPage(job.id)} className={styles.cover} data-heir>
          {job.prompt}
        </Link>
      </h4>
      {density !== "bare" &&
        (isRunning || job.done ? (
          <SettledStanding job={job} progressWords={progress?.words ?? null} />
        ) : (
          <WaitingStanding job={job} />
        ))}
      {density === "cards" && (
        <footer className={styles.foot}>
          <Facts job={job} />
          <CancelOrRetry
            job={job}
            looks={{ cancel: "quiet", retry: "quiet" }}
            cancel="Cancel"
            retry={
              <>
                <Icon name="again" /> Try again
              </>
            }
            about={job.prompt}
          />
        </footer>
      )}
      <Actions job={job} />
    </article>
  );
});

interface PictureProps {
  readonly job: ListedJob;
  readonly density: Density;
  readonly fraction: number;
}

/** The prints on their mat. The dragged one can be dropped on the page's reference zone, on other pages and on the desktop. */
function Picture({ job, density, fraction }: PictureProps) {
  const [only] = job.output?.images ?? [];
  const drag = (event: DragEvent) => {
    const dragged = event.target as Element;
    const place = Number(dragged.closest("[data-place]")?.getAttribute("data-place") ?? 0);
    const image = job.output?.images[place] ?? only;
    if (image === undefined) return;
    const address = new URL(paths.jobImage(job.id, image.index), location.origin).href;
    const { dataTransfer } = event;
    dataTransfer.setData(PRINT_DATA, JSON.stringify(printAsInput(job, image)));
    dataTransfer.setData("text/uri-list", address);
    // Chromium saves a print that is dropped outside of it under this name.
    dataTransfer.setData("DownloadURL", `${image.contentType}:${job.id}-${image.index + 1}:${address}`);
    dataTransfer.effectAllowed = "copy";
  };
  return (
    <Link href={paths.jobPage(job.id)} className={styles.picture} tabIndex={-1} aria-hidden="true" onDragStart={drag}>
      <PrintSheet job={job} progress={fraction} density={density} />
    </Link>
  );
}

/** The actions that people most likely want without opening the job. */
function Actions({ job }: { readonly job: ListedJob }) {
  const [, navigate] = useLocation();
  const images = job.output?.images ?? [];
  const [only] = images;
  const pin = usePin(job);
  const change = () => changeAgain(job.id, navigate);
  return (
    <div className={styles.actions}>
      {images.length === 1 && only !== undefined && (
        <Action icon="image" label="Use as reference" about={job.prompt} onPress={() => addAsReference(job, only)} />
      )}
      <Action icon="edit" label="Again with changes" about={job.prompt} onPress={change} />
      {job.done && !wantsChanges(job) && (
        <Action icon="repeat" label="Again" about={job.prompt} onPress={() => submitAgain(job.id)} />
      )}
      {images.length === 1 && only !== undefined && (
        <DownloadLink jobId={job.id} index={only.index} look="over" label={`Download: ${job.prompt}`}>
          <Icon name="download" />
        </DownloadLink>
      )}
      {images.length > 1 && (
        <Action icon="download" label="Download all" about={job.prompt} onPress={() => saveAll(job)} />
      )}
      <Action icon="pin" label={pin.verb} about={job.prompt} onPress={pin.press} />
      {pin.question}
    </div>
  );
}

/** Never rejects: the person is notified of the outcome. */
async function saveAll(job: ListedJob): Promise<void> {
  try {
    const { saveZip } = await import("../../data/bulk.ts");
    await saveZip([job]);
  } catch {
    notify("failed", MISSING_PART);
  }
}

/** Puts a job's whole request into the form, and goes there unless the person has opened another view meanwhile. Never rejects. */
export async function changeAgain(id: string, navigate: (to: string) => void): Promise<void> {
  const isStillHere = markPlace();
  if (!(await composeAgain(id))) return;
  if (isStillHere()) focusPrompt(navigate);
  else notify("done", "The job is in the form now, to be changed");
}

/** Goes to the form, whose draft was just changed; the wall beside it has the filter with which it was left. */
export function focusPrompt(navigate: (to: string) => void): void {
  if (location.pathname !== "/") navigate(`/${lastWallPlace().search}`);
  requestAnimationFrame(() => document.getElementById("prompt")?.focus());
}

interface ActionProps {
  readonly icon: IconName;
  readonly label: string;
  readonly about: string;
  readonly onPress: () => Promise<void>;
}

function Action({ icon, label, about, onPress }: ActionProps) {
  const [busy, setBusy] = useState(false);
  const press = async () => {
    if (busy) return;
    setBusy(true);
    await onPress();
    setBusy(false);
  };
  return (
    <button
      type="button"
      className={styles.action}
      aria-label={`${label}: ${about}`}
      title={label}
      aria-busy={busy || undefined}
      onClick={press}
    >
      <Icon name={icon} />
    </button>
  );
}

/** A finger that rests on a card chooses it; the click that the browser fires afterwards is ignored. */
function useLongPress(onLongPress: () => void) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const hasEnded = useRef(false);
  const isTouch = useRef(false);
  const stop = () => clearTimeout(timer.current);
  return {
    ended: () => {
      const ended = hasEnded.current;
      // Called twice during one click, and reset after it.
      queueMicrotask(() => {
        hasEnded.current = false;
      });
      return ended;
    },
    handlers: {
      onPointerDown: ({ pointerType }: PointerEvent) => {
        stop();
        hasEnded.current = false;
        isTouch.current = pointerType === "touch";
        if (!isTouch.current) return;
        timer.current = setTimeout(() => {
          hasEnded.current = true;
          onLongPress();
        }, LONG_PRESS_MS);
      },
      onPointerUp: stop,
      onPointerCancel: stop,
      onPointerMove: ({ movementX, movementY }: PointerEvent) => {
        if (Math.abs(movementX) + Math.abs(movementY) > 4) stop();
      },
      // On a touch screen the long press would also open the browser's menu, and the image would load its original for it.
      onContextMenuCapture: (event: MouseEvent) => {
        if (!isTouch.current) return;
        event.preventDefault();
        event.stopPropagation();
        stop();
        if (hasEnded.current) return;
        // In a busy page the menu's event may come before the page's own timer.
        hasEnded.current = true;
        onLongPress();
      },
    },
  };
}

/** The state of a job; the title of a failure is shortened to one line, so that the hint has room. */
function briefStanding(job: ListedJob, nowMs: number): Standing {
  const standing = standingOf(job, nowMs);
  return job.error === null ? standing : { ...standing, title: BRIEF_FAILURES[job.error.code] };
}

interface SettledStandingProps {
  readonly job: ListedJob;
  readonly progressWords: string | null;
}

function SettledStanding({ job, progressWords }: SettledStandingProps): ReactNode {
  const nowMs = useServerNowWhile(job.status === "running");
  return <StandingLine standing={standingWith(briefStanding(job, nowMs), progressWords)} />;
}

/** The state of an unfinished job, counting down. */
function WaitingStanding({ job }: { readonly job: ListedJob }) {
  return <StandingLine standing={standingOf(job, useServerNow(), useLaneBlock(job.model))} />;
}

function Facts({ job }: { readonly job: ListedJob }) {
  const nowMs = useServerMinute();
  const sides = useJobSides(job);
  const everyones = useIsOperator();
  return (
    <p className={styles.facts}>
      <span>
        {agoWords(Date.parse(job.createdAt), nowMs)}
        {sides !== null && ` · ${sides.width}×${sides.height}`}
      </span>
      <span>{everyones && job.client !== null ? `${job.client} · ${job.model}` : job.model}</span>
    </p>
  );
}
