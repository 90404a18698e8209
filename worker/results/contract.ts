import type { OutputImage } from "../../schemas/job.ts";

export type StoredImage = Omit<OutputImage, "url"> & { readonly key: string };

export type CopyAnswer =
  | { readonly kind: "stored"; readonly image: StoredImage }
  /** `dead`: no repetition can deliver the image, or its link has ended. Otherwise a repetition may help. */
  | { readonly kind: "failed"; readonly dead: boolean; readonly reason: string };

/** Copies one image from upstream's link into R2, streamed and verified from its bytes. Never throws. */
export type CopyImage = (
  source: { readonly link: string; readonly deliveredAtMs: number },
  target: { readonly key: string; readonly index: number },
  signal: AbortSignal,
) => Promise<CopyAnswer>;

/** Precedes the key, in the link of an image that came inside the answer and is already in the bucket. */
export const STORED_LINK = "stored:";

/** Upstream promises its results for 24 h, unless the link itself says another end. */
const LINK_LIFE_MS = 24 * 3_600_000;

/** When a link ends: at the `Expires` of its own signature (epoch seconds), else 24 h after upstream delivered. Pure. */
export function linkEndMs(link: string, deliveredAtMs: number): number {
  const query = URL.parse(link)?.searchParams;
  const expires = query?.get("Expires") ?? "";
  if (/^\d{1,12}$/.test(expires)) return Number(expires) * 1000;
  // OSS's newer signature has a date like 20261128T074300Z, and seconds from it.
  const [, day, time] = /^(\d{8})T(\d{6})Z$/.exec(query?.get("x-oss-date") ?? "") ?? [];
  const seconds = query?.get("x-oss-expires") ?? "";
  if (day === undefined || time === undefined || !/^\d{1,9}$/.test(seconds)) return deliveredAtMs + LINK_LIFE_MS;
  const signedAt = `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4)}Z`;
  // The digits may be no date, and a link whose end is NaN would never end.
  const signedAtMs = Date.parse(signedAt);
  return Number.isNaN(signedAtMs) ? deliveredAtMs + LINK_LIFE_MS : signedAtMs + Number(seconds) * 1000;
}
