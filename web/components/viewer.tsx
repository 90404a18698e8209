import { Dialog } from "@base-ui/react/dialog";
import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from "react";
import { paths } from "../../schemas/paths.ts";
import type { ListedJob } from "../state/listed-job.ts";
import { FIT, fitScale, scaleWords, stepScale } from "../state/print-look.ts";
import { Button, ButtonLink } from "./button.tsx";
import { Icon } from "./icon.tsx";
import { StoredImage } from "./stored-image.tsx";
import styles from "./viewer.module.css";

interface ViewerProps {
  readonly job: ListedJob;
  /** Which of the job's images, from 0. */
  readonly place: number;
  readonly open: boolean;
  readonly onClose: () => void;
  /** Shows the previous or next image, of this job or of the one beside it on the wall. */
  readonly onStep: (direction: 1 | -1) => void;
  /** Adds the shown image to the references. */
  readonly onRefer: () => void;
  readonly hasBefore: boolean;
  readonly hasAfter: boolean;
}

/** A finger that moves this far sideways, in pixels, shows the next image. */
const SWIPE_PX = 60;

/**
 * One image over the whole window: fitted, at its true size, or larger. `+`, `-`, `0` and `1` do the same as the buttons; the
 * arrow keys and a swipe show the next image.
 */
export default function Viewer({ job, place, open, onClose, onStep, onRefer, hasBefore, hasAfter }: ViewerProps) {
  const image = job.output?.images[place];
  const [scale, setScale] = useState<number>(FIT);
  const [fit, setFit] = useState(1);
  const table = useRef<HTMLDivElement>(null);
  const swipe = useSwipe(scale === FIT, onStep);

  const [known, setKnown] = useState(image?.sha256);
  if (known !== image?.sha256) {
    setKnown(image?.sha256);
    setScale(FIT);
  }

  useEffect(() => {
    if (!open || image === undefined) return;
    const measure = () => {
      const box = table.current;
      if (box !== null) setFit(fitScale(image, { width: box.clientWidth, height: box.clientHeight }));
    };
    // The dialog's content is drawn a frame after it opens.
    const frame = requestAnimationFrame(measure);
    window.addEventListener("resize", measure);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener("resize", measure);
    };
  }, [open, image]);

  if (image === undefined) return null;
  const shown = scale === FIT ? fit : scale;
  const step = (direction: 1 | -1) => setScale(stepScale(shown, direction, fit));
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "+" || event.key === "=") step(1);
    else if (event.key === "-") step(-1);
    else if (event.key === "0") setScale(FIT);
    else if (event.key === "1") setScale(1);
    else if (event.key === "ArrowRight" && scale === FIT && hasAfter) onStep(1);
    else if (event.key === "ArrowLeft" && scale === FIT && hasBefore) onStep(-1);
  };

  return (
    <Dialog.Root open={open} onOpenChange={(next) => next || onClose()}>
      <Dialog.Portal>
        <Dialog.Popup className={styles.viewer} onKeyDown={onKeyDown} initialFocus={table} finalFocus={focusAfter}>
          <Dialog.Title className="unseen">{job.prompt}</Dialog.Title>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard. */}
          <section className={styles.table} ref={table} tabIndex={0} aria-label="Image, scrolls when it is enlarged">
            <button
              type="button"
              className={styles.sheet}
              onClick={() => swipe.ended() || setScale(scale === FIT ? Math.max(1, fit * 2) : FIT)}
              aria-label={scale === FIT ? "Enlarge" : "Fit to the window"}
              data-enlarged={scale !== FIT || undefined}
              style={{ "--width": `${image.width * shown}px`, "--height": `${image.height * shown}px` }}
              {...swipe.handlers}
            >
              <StoredImage
                key={image.sha256}
                address={paths.jobImage(job.id, image.index)}
                image={image}
                alt={job.prompt}
                eager
                original={scale !== FIT}
                sizes={`${Math.round(image.width * shown)}px`}
                draggable={false}
              />
            </button>
          </section>
          <fieldset className={styles.bar} aria-label="Zoom">
            <Button look="quiet" onClick={() => onStep(-1)} idle={!hasBefore} aria-label="Previous image">
              <Icon name="back" />
            </Button>
            <Button look="quiet" onClick={() => onStep(1)} idle={!hasAfter} aria-label="Next image">
              <Icon name="forth" />
            </Button>
            <Button look="quiet" onClick={() => step(-1)} aria-label="Smaller" data-wide>
              <Icon name="minus" />
            </Button>
            <output className={styles.scale} data-wide>
              {scaleWords(shown)}
            </output>
            <Button look="quiet" onClick={() => step(1)} aria-label="Larger" data-wide>
              <Icon name="add" />
            </Button>
            <Button look="quiet" onClick={() => setScale(FIT)}>
              Fit
            </Button>
            <Button look="quiet" onClick={() => setScale(1)}>
              True size
            </Button>
            <Button look="quiet" onClick={onRefer} aria-label="Use as reference" title="Use as reference">
              <Icon name="image" />
            </Button>
            <ButtonLink
              look="quiet"
              href={paths.jobImage(job.id, image.index)}
              download=""
              aria-label="Download"
              title="Download"
            >
              <Icon name="download" />
            </ButtonLink>
            <Dialog.Close render={<Button look="quiet" />}>
              <Icon name="close" /> Close
            </Dialog.Close>
          </fieldset>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** Focuses the job's button for the viewer when it closes. The button that opened it is gone after a step to another job. */
function focusAfter(): HTMLElement | true {
  return document.querySelector<HTMLElement>("[data-enlarge]") ?? true;
}

/** Follows a finger that moves sideways over a fitted image; the click that the browser fires afterwards is ignored. */
function useSwipe(isOn: boolean, onSwipe: (direction: 1 | -1) => void) {
  const start = useRef<{ readonly x: number; readonly y: number } | null>(null);
  const hasSwiped = useRef(false);
  return {
    ended: () => hasSwiped.current,
    handlers: {
      onPointerDown: ({ pointerType, clientX, clientY }: PointerEvent) => {
        hasSwiped.current = false;
        start.current = isOn && pointerType === "touch" ? { x: clientX, y: clientY } : null;
      },
      onPointerUp: ({ clientX, clientY }: PointerEvent) => {
        if (start.current === null) return;
        const [across, along] = [clientX - start.current.x, clientY - start.current.y];
        start.current = null;
        if (Math.abs(across) < SWIPE_PX || Math.abs(across) < 2 * Math.abs(along)) return;
        hasSwiped.current = true;
        onSwipe(across < 0 ? 1 : -1);
      },
      onPointerCancel: () => {
        start.current = null;
      },
    },
  };
}
