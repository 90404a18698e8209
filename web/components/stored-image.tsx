import { type ComponentProps, useEffect, useState } from "react";
import { VARIANT_WIDTHS, variantUrl } from "../../schemas/paths.ts";

/** The waits before a failed image is asked for again, in ms; after the last, only the network's return asks again. */
const AGAIN_MS = [1_000, 4_000, 15_000, 60_000];

interface StoredImageProps extends Omit<ComponentProps<"img">, "src" | "srcSet" | "width" | "height" | "loading"> {
  /** Where the original is: the API's own path, which a session opens, or a signed link for whoever has none. */
  readonly address: string;
  /** Its sides in pixels. */
  readonly image: { readonly width: number; readonly height: number };
  /** How wide it is drawn, by which the browser chooses among the smaller variants. */
  readonly sizes: string;
  /** Loaded at once, and not only when it is scrolled near. */
  readonly eager?: boolean;
  /** The original, whatever size it is drawn in. */
  readonly original?: boolean;
  /** Called when the image has come, or has failed for now. */
  readonly onSettled?: (state: "loaded" | "failed") => void;
}

/**
 * An image that a job has, made or given, in a variant as large as it is drawn. The API's own paths never change, so that the
 * browser's cache keeps what it has. One failed request does not leave the place blank: the image
 * is asked for again, and where there is no variant of it, the original.
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
      // A new element asks the server anew; the same one would not.
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
        // What the browser's own menu saves is the original.
        currentTarget.removeAttribute("srcset");
        currentTarget.src = whole;
      }}
    />
  );
}

/** Whether the server says that it makes no variants of an image, and not only that it cannot just now. */
async function isWithoutVariants(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.status === 422;
  } catch {
    return false;
  }
}
