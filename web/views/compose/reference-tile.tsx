import { useState } from "react";
import { variantUrl } from "../../../schemas/paths.ts";
import { Icon } from "../../components/icon.tsx";
import { LOST, useKeptFileUrl } from "../../data/file-store.ts";
import { type DraftImage, imageName } from "../../state/draft.ts";
import { bytesWords } from "../../state/draft-check.ts";
import styles from "./reference-tile.module.css";

interface ReferenceTileProps {
  readonly image: DraftImage;
  readonly index: number;
  readonly onRemove: () => void;
  /** Null for the first. */
  readonly onEarlier: (() => void) | null;
  /** Null for the last. */
  readonly onLater: (() => void) | null;
}

/** An input image, small, with the number by which prompts name it. */
export function ReferenceTile({ image, index, onRemove, onEarlier, onLater }: ReferenceTileProps) {
  const [failed, setFailed] = useState<readonly string[]>([]);
  const preview = usePreviews(image).find((address) => !failed.includes(address));
  const isLost = preview === LOST;
  const name = imageName(image);
  return (
    <li className={styles.tile} data-tile={index}>
      <div className={styles.picture}>
        {preview !== undefined && !isLost ? (
          <img src={preview} alt={name} referrerPolicy="no-referrer" onError={() => setFailed([...failed, preview])} />
        ) : (
          <span className={styles.none} data-lost={isLost || undefined}>
            <Icon name={isLost ? "failed" : "image"} />
            <span role={isLost ? "alert" : undefined}>
              {isLost ? "No longer in this browser: add it again" : image.kind === "url" ? "Address" : "No preview"}
            </span>
          </span>
        )}
        <span className={styles.number}>{`Image ${index + 1}`}</span>
      </div>
      <p className={styles.name} title={name} dir="auto">
        {name}
      </p>
      <div className={styles.foot}>
        <span>{image.kind === "url" ? "" : bytesWords(image.bytes)}</span>
        {onEarlier !== null && (
          <button
            type="button"
            data-move="earlier"
            onClick={onEarlier}
            aria-label={`Move image ${index + 1} to the front by one`}
          >
            <Icon name="back" />
          </button>
        )}
        {onLater !== null && (
          <button
            type="button"
            data-move="later"
            onClick={onLater}
            aria-label={`Move image ${index + 1} to the back by one`}
          >
            <Icon name="forth" />
          </button>
        )}
        <button type="button" data-move="remove" onClick={onRemove} aria-label={`Remove image ${index + 1}, ${name}`}>
          <Icon name="close" />
        </button>
      </div>
    </li>
  );
}

/** Addresses of the image for an `img`, the best first; none until one is known, `LOST` for a file that this browser no longer has. */
function usePreviews(image: DraftImage): readonly string[] {
  const kept = useKeptFileUrl(image.kind === "file" ? image.key : null);
  switch (image.kind) {
    case "file":
      return kept === null ? [] : [kept];
    case "stored":
      // The server makes no variants of some types of images.
      return [variantUrl(image.path, { w: 320 }), image.path];
    case "url":
      // The content policy allows no other image.
      return image.url.startsWith("https://") ? [image.url] : [];
  }
}
