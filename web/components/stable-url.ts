import { useState } from "react";
import type { OutputImage } from "../../schemas/job.ts";

/**
 * The address to show an image from. Signed links change with time though the image does not: the first one stays until it
 * fails, so that nothing is loaded twice. `failed` is to be called then; it asks for a fresh link only when none is known.
 */
export function useStableUrl(image: OutputImage | null, onLost: (() => void) | undefined) {
  const [kept, setKept] = useState({ sha256: image?.sha256, url: image?.url, failed: false });
  const another = image?.sha256 !== kept.sha256;
  const renewed = kept.failed && image?.url !== kept.url;
  if (another || renewed) setKept({ sha256: image?.sha256, url: image?.url, failed: false });
  const failed = () => {
    setKept({ ...kept, failed: true });
    if (image?.url === kept.url) onLost?.();
  };
  return { url: kept.url, failed };
}
