import { type ComponentProps, useEffect, useState } from "react";
import type { OutputImage } from "../../schemas/job.ts";
import { paths } from "../../schemas/paths.ts";

/** The waits before a failed image is asked for again, in ms; after the last, only the network's return asks again. */
const AGAIN_MS = [1_000, 4_000, 15_000, 60_000];

interface StoredImageProps extends Omit<ComponentProps<"img">, "src" | "srcSet" | "width" | "height" | "loading"> {
  readonly jobId: string;
  readonly image: Pick<OutputImage, "index" | "width" | "height">;
  /** Loaded at once, and not only when it is scrolled near. */
  readonly eager?: boolean;
  /** The original, whatever size it is drawn in. */
  readonly original?: boolean;
  /** Called when the image has come, or has failed for now. */
  readonly onSettled?: (state: "loaded" | "failed") => void;
}

/**
 * An image that a job has. Its address is the API's own, opened by this browser's session: it never changes, so that the
 * browser's cache keeps what it has. One failed request does not leave the place blank: the image is asked for again.
 */
export function StoredImage({
  jobId,
  image,
  eager = false,
  original = false,
  onSettled,
  alt = "",
  ...rest
}: StoredImageProps) {
  const [failures, setFailures] = useState(0);
  const [asked, setAsked] = useState(0);

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

  return (
    <img
      {...rest}
      // A new element asks the server anew; the same one would not.
      key={asked}
      alt={alt}
      src={paths.jobImage(jobId, image.index)}
      width={image.width}
      height={image.height}
      loading={eager ? "eager" : "lazy"}
      decoding="async"
      onLoad={() => onSettled?.("loaded")}
      onError={() => {
        setFailures(asked + 1);
        onSettled?.("failed");
      }}
    />
  );
}
