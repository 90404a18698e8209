import { useState } from "react";
import { Icon } from "../../components/icon.tsx";
import { useKeptFileUrl } from "../../data/file-store.ts";
import type { DraftImage } from "../../state/draft.ts";
import { bytesWords } from "../../state/draft-check.ts";
import styles from "./reference-tile.module.css";

interface ReferenceTileProps {
  readonly image: DraftImage;
  readonly index: number;
  readonly onRemove: () => void;
  /** Null for the first. */
  readonly onEarlier: (() => void) | null;
}

/** An input image, small, with the number that prompts name it by. */
export function ReferenceTile({ image, index, onRemove, onEarlier }: ReferenceTileProps) {
  const preview = usePreview(image);
  const [failedUrl, setFailedUrl] = useState<string | null>(null);
  const shown = preview !== null && preview !== failedUrl;
  const name = image.kind === "file" ? image.name : image.url;
  return (
    <li className={styles.tile}>
      <div className={styles.picture}>
        {shown ? (
          <img src={preview} alt={name} referrerPolicy="no-referrer" onError={() => setFailedUrl(preview)} />
        ) : (
          <span className={styles.none}>
            <Icon name="image" />
            <span>{image.kind === "file" ? "No preview" : "Address"}</span>
          </span>
        )}
        <span className={styles.number}>{`Image ${index + 1}`}</span>
      </div>
      <p className={styles.name} title={name}>
        {name}
      </p>
      <div className={styles.foot}>
        <span>{image.kind === "file" ? bytesWords(image.bytes) : ""}</span>
        {onEarlier !== null && (
          <button type="button" onClick={onEarlier} aria-label={`Move image ${index + 1} to the front by one`}>
            <Icon name="back" />
          </button>
        )}
        <button type="button" onClick={onRemove} aria-label={`Remove image ${index + 1}, ${name}`}>
          <Icon name="close" />
        </button>
      </div>
    </li>
  );
}

/** An address to show the image from; null until it is known, or when this browser has the file no more. */
function usePreview(image: DraftImage): string | null {
  const kept = useKeptFileUrl(image.kind === "file" ? image.key : null);
  if (image.kind === "file") return kept;
  // The content policy lets no other image in.
  return image.url.startsWith("https://") ? image.url : null;
}
