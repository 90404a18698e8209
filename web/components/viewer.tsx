import { Dialog } from "@base-ui/react/dialog";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { OutputImage } from "../../schemas/job.ts";
import { FIT, fitScale, scaleWords, stepScale } from "../state/print-look.ts";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";
import styles from "./viewer.module.css";

interface ViewerProps {
  readonly image: OutputImage;
  readonly alt: string;
  readonly open: boolean;
  readonly onOpenChange: (open: boolean) => void;
}

/** One image over the whole window: fitted, at its true size, or larger. `+`, `-`, `0` and `1` do what the buttons do. */
export default function Viewer({ image, alt, open, onOpenChange }: ViewerProps) {
  const [scale, setScale] = useState<number>(FIT);
  const [fit, setFit] = useState(1);
  const table = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!open) return;
    const measure = () => {
      const box = table.current;
      if (box !== null) setFit(fitScale(image, { width: box.clientWidth, height: box.clientHeight }));
    };
    // The dialog's content comes a frame after it opens.
    const frame = requestAnimationFrame(measure);
    window.addEventListener("resize", measure);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener("resize", measure);
    };
  }, [open, image]);

  const shown = scale === FIT ? fit : scale;
  const step = (direction: 1 | -1) => setScale(stepScale(shown, direction, fit));
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "+" || event.key === "=") step(1);
    else if (event.key === "-") step(-1);
    else if (event.key === "0") setScale(FIT);
    else if (event.key === "1") setScale(1);
  };

  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Popup className={styles.viewer} onKeyDown={onKeyDown}>
          <Dialog.Title className="unseen">{alt}</Dialog.Title>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard. */}
          <section className={styles.table} ref={table} tabIndex={0} aria-label="Image, scrolls when it is enlarged">
            <button
              type="button"
              className={styles.sheet}
              onClick={() => setScale(scale === FIT ? Math.max(1, fit * 2) : FIT)}
              aria-label={scale === FIT ? "Enlarge" : "Fit to the window"}
              data-enlarged={scale !== FIT || undefined}
              style={{ "--width": `${image.width * shown}px`, "--height": `${image.height * shown}px` }}
            >
              <img src={image.url} alt={alt} width={image.width} height={image.height} draggable={false} />
            </button>
          </section>
          <fieldset className={styles.bar} aria-label="Zoom">
            <Button look="quiet" onClick={() => step(-1)} aria-label="Smaller">
              <Icon name="minus" />
            </Button>
            <output className={styles.scale}>{scaleWords(shown)}</output>
            <Button look="quiet" onClick={() => step(1)} aria-label="Larger">
              <Icon name="add" />
            </Button>
            <Button look="quiet" onClick={() => setScale(FIT)}>
              Fit
            </Button>
            <Button look="quiet" onClick={() => setScale(1)}>
              True size
            </Button>
            <Dialog.Close render={<Button look="quiet" />}>
              <Icon name="close" /> Close
            </Dialog.Close>
          </fieldset>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
