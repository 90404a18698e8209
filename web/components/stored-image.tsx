import { type ComponentProps, useEffect, useState } from "react";
import { VARIANT_WIDTHS, variantUrl } from "../../schemas/paths.ts";

/** The waits before a failed image is requested again, in ms; after the last, only the network's return repeats the request. */
const AGAIN_MS = [1_000, 4_000, 15_000, 60_000];

interface StoredImageProps extends Omit<ComponentProps<"img">, "src" | "srcSet" | "width" | "height" | "loading"> {
  /** The original's address: the API's own path, which a session opens, or a signed link for a page without a session. */
  readonly address: string;
  /** Its sides in pixels. */
  readonly image: { readonly width: number; readonly height: number };
  /** How wide it is drawn; the browser chooses a variant by it. */
  readonly sizes: string;
  /** Loads it at once, not only when it is scrolled near. */
  readonly eager?: boolean;
  /** Loads the original at any size. */
  readonly original?: boolean;
  /** Called when the image is loaded, or has failed for now. */
  readonly onSettled?: (state: "loaded" | "failed") => void;
}

/**
 * An image of a job, made or uploaded, in a variant that fits the size in which it is drawn. The API's own paths never change, so
 * that the browser's cache stays valid. After a failed request the image is requested again; where the server makes no variant of
 * it, the original is loaded.
 */
export function StoredImage({
  address: whole,
  image,
  sizes,
  eager = false,
  original = false,
  onSettled,
  alt = "",
  ...rest
}: StoredImageProps) {
  const [failures, setFailures] = useState(0);
  const [asked, setAsked] = useState(0);
  const [hasVariants, setHasVariants] = useState(true);
  const isWhole = original || !hasVariants;

  useEffect(() => {
    if (failures === 0) return;
    const again = () => setAsked(failures);
    const waitMs = AGAIN_MS[failures - 1];
    const timer = waitMs === undefined ? undefined : setTimeout(again, waitMs);
    addEventListener("online", again);
    return () => {
      clearTimeout(timer);
      removeEventListener("online", again);
    };
  }, [failures]);

  const fail = async (failedUrl: string) => {
    if (!isWhole && (await isWithoutVariants(failedUrl))) {
      setHasVariants(false);
      return;
    }
    setFailures(asked + 1);
    onSettled?.("failed");
  };

  return (
    <img
      {...rest}
      // A new element requests the image again; the same one would not.
      key={`${asked} ${isWhole}`}
      alt={alt}
      src={isWhole ? whole : variantUrl(whole, { w: 640 })}
      srcSet={isWhole ? undefined : VARIANT_WIDTHS.map((w) => `${variantUrl(whole, { w })} ${w}w`).join(", ")}
      sizes={isWhole ? undefined : sizes}
      width={image.width}
      height={image.height}
      loading={eager ? "eager" : "lazy"}
      decoding="async"
      onLoad={() => onSettled?.("loaded")}
      onError={({ currentTarget }) => void fail(currentTarget.currentSrc || currentTarget.src)}
      onContextMenu={({ currentTarget }) => {
        // So that the browser's own menu saves the original.
        currentTarget.removeAttribute("srcset");
        currentTarget.src = whole;
      }}
    />
  );
}

/** Whether the server answers 422: it never makes variants of this image. Other failures may pass. */
async function isWithoutVariants(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.status === 422;
  } catch {
    return false;
  }
}
