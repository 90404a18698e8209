import type { OutputImage } from "../../schemas/job.ts";

export type StoredImage = Omit<OutputImage, "url"> & { readonly key: string };

export type CopyAnswer =
  | { readonly kind: "stored"; readonly image: StoredImage }
  /** `dead`: the link can never deliver again. Else worth repeating. */
  | { readonly kind: "failed"; readonly dead: boolean; readonly reason: string };

/** Copies one image from upstream's link into R2, streamed and verified from its bytes. Never throws. */
export type CopyImage = (
  source: { readonly link: string; readonly deliveredAtMs: number },
  target: { readonly key: string; readonly index: number },
  signal: AbortSignal,
) => Promise<CopyAnswer>;
