import { paths } from "../../schemas/paths.ts";
import type { LinkSettings } from "../env.ts";
import type { LinkMaker } from "../job/core/present.ts";
import { sign, verify } from "./signing-keys.ts";

/**
 * Links to a job's events end on whole multiples of this, and links to images on whole multiples of `imageLinkMs`: equal
 * states have equal links, and so equal ETags, for that long. A client watches a job at once, and stores an image's link.
 */
export const EVENTS_LINK_MS = 6 * 3_600_000;

/** The one thing that a signed link opens. */
export type LinkTarget =
  | { readonly kind: "image"; readonly jobId: string; readonly index: number }
  | { readonly kind: "events"; readonly jobId: string };

function purposeOf(target: LinkTarget) {
  return target.kind === "image" ? "image link" : "events link";
}

function textOf(target: LinkTarget, endsAtSeconds: number): string {
  return target.kind === "image"
    ? `${target.jobId}/images/${target.index}?${endsAtSeconds}`
    : `${target.jobId}/events?${endsAtSeconds}`;
}

/** When a link made now ends: one to two lives of its kind ahead. */
function linkEndsAtMs(nowMs: number, lifeMs: number): number {
  return (Math.floor(nowMs / lifeMs) + 2) * lifeMs;
}

/** Changes exactly when links made now get another end; part of an ETag. */
function linkEpoch({ signingSecrets, imageLinkMs }: LinkSettings, nowMs: number): string {
  if (signingSecrets.length === 0) return "0";
  return [EVENTS_LINK_MS, imageLinkMs].map((lifeMs) => Math.floor(nowMs / lifeMs).toString(36)).join("-");
}

/**
 * Links that start with `origin`. Images and events are signed for this one thing until an end, which is never after
 * `notAfterMs`: what is read through a signed link holds no link that lives longer than it. Without a signing secret (open
 * mode) they are plain.
 */
export function createLinks(
  config: LinkSettings,
  origin: string,
  nowMs: number,
  notAfterMs: number | null = null,
): LinkMaker {
  const [secret] = config.signingSecrets;
  const query = (target: LinkTarget) => {
    if (secret === undefined) return "";
    const lifeMs = target.kind === "image" ? config.imageLinkMs : EVENTS_LINK_MS;
    const endsAtMs = Math.min(linkEndsAtMs(nowMs, lifeMs), notAfterMs ?? Number.POSITIVE_INFINITY);
    const endsAtSeconds = Math.floor(endsAtMs / 1000);
    return `?end=${endsAtSeconds}&signature=${sign(secret, purposeOf(target), textOf(target, endsAtSeconds))}`;
  };
  return {
    epoch: linkEpoch(config, nowMs),
    image: (jobId, index) => `${origin}${paths.jobImage(jobId, index)}${query({ kind: "image", jobId, index })}`,
    job: (jobId) => ({
      self: `${origin}${paths.job(jobId)}`,
      events: `${origin}${paths.jobEvents(jobId)}${query({ kind: "events", jobId })}`,
      cancel: `${origin}${paths.jobCancel(jobId)}`,
      retry: `${origin}${paths.jobRetry(jobId)}`,
      page: `${origin}${paths.jobPage(jobId)}`,
    }),
  };
}

/**
 * Whether the address carries a link that opens `target` now, and until when. `none`: it carries no signature at all. An
 * `invalid` one may be tampered with, over, cut short or of another thing; the caller does not learn which.
 */
export function checkLink(
  config: Pick<LinkSettings, "signingSecrets">,
  target: LinkTarget,
  query: URLSearchParams,
  nowMs: number,
): { readonly state: "valid"; readonly endsAtMs: number } | { readonly state: "invalid" | "none" } {
  const signature = query.get("signature");
  if (signature === null) return { state: "none" };
  const end = query.get("end") ?? "";
  if (!/^\d{1,12}$/.test(end)) return { state: "invalid" };
  const genuine = verify(config.signingSecrets, purposeOf(target), textOf(target, Number(end)), signature);
  const endsAtMs = Number(end) * 1000;
  return genuine && nowMs < endsAtMs ? { state: "valid", endsAtMs } : { state: "invalid" };
}
