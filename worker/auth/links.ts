import { paths } from "../../schemas/paths.ts";
import type { LinkSettings } from "../env.ts";
import type { LinkMaker } from "../job/core/present.ts";
import { sign, verify } from "./signing-keys.ts";

/**
 * Links to a job's events end on whole multiples of this, and links to images on whole multiples of `imageLinkMs`: equal
 * states have equal links, and so equal ETags, for that long. A client watches a job at once, but stores an image's link.
 */
export const EVENTS_LINK_MS = 6 * 3_600_000;

/** The one thing that a signed link opens. */
export type LinkTarget =
  | { readonly kind: "image" | "input"; readonly jobId: string; readonly index: number }
  | { readonly kind: "events"; readonly jobId: string }
  /** The job itself, to read. */
  | { readonly kind: "job"; readonly jobId: string };

const PURPOSES = { image: "image link", input: "image link", events: "events link", job: "share link" } as const;

function textOf(target: LinkTarget, endsAtSeconds: number): string {
  const { kind, jobId } = target;
  switch (kind) {
    case "image":
      return `${jobId}/images/${target.index}?${endsAtSeconds}`;
    case "input":
      return `${jobId}/inputs/${target.index}?${endsAtSeconds}`;
    case "events":
      return `${jobId}/events?${endsAtSeconds}`;
    case "job":
      return `${jobId}?${endsAtSeconds}`;
    default:
      return kind satisfies never;
  }
}

function signedQuery(secret: string, target: LinkTarget, endsAtSeconds: number): string {
  return `?end=${endsAtSeconds}&signature=${sign(secret, PURPOSES[target.kind], textOf(target, endsAtSeconds))}`;
}

/**
 * The address of a page that shows a job to everyone who has the address, until `endsAtMs`. Unsigned without a signing secret
 * (open mode).
 */
export function shareLink(config: LinkSettings, origin: string, jobId: string, endsAtMs: number): string {
  const [secret] = config.signingSecrets;
  const query = secret === undefined ? "" : signedQuery(secret, { kind: "job", jobId }, Math.floor(endsAtMs / 1000));
  return `${origin}${paths.sharedPage(jobId)}${query}`;
}

/** When a link that is made now ends: one to two times `lifeMs` ahead. */
function linkEndsAtMs(nowMs: number, lifeMs: number): number {
  return (Math.floor(nowMs / lifeMs) + 2) * lifeMs;
}

/** Changes exactly when new links get another end. Part of an ETag. */
function linkEpoch({ signingSecrets, imageLinkMs }: LinkSettings, nowMs: number): string {
  if (signingSecrets.length === 0) return "0";
  return [EVENTS_LINK_MS, imageLinkMs].map((lifeMs) => Math.floor(nowMs / lifeMs).toString(36)).join("-");
}

/**
 * Makes links that start with `origin`. A link to an image or to events is signed for that one thing and ends no later than
 * `notAfterMs`, so that what is read through a signed link holds no link that lasts longer. Without a signing secret (open
 * mode) links are unsigned.
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
    const lifeMs = target.kind === "events" ? EVENTS_LINK_MS : config.imageLinkMs;
    const endsAtMs = Math.min(linkEndsAtMs(nowMs, lifeMs), notAfterMs ?? Number.POSITIVE_INFINITY);
    return signedQuery(secret, target, Math.floor(endsAtMs / 1000));
  };
  return {
    epoch: linkEpoch(config, nowMs),
    image: (jobId, index) => `${origin}${paths.jobImage(jobId, index)}${query({ kind: "image", jobId, index })}`,
    input: (jobId, index) => `${origin}${paths.jobInput(jobId, index)}${query({ kind: "input", jobId, index })}`,
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
 * Whether the address carries a link that opens `target` now, and until when. `none`: it has no signature. An `invalid` link
 * may be changed, expired, cut short or for another thing; the caller does not learn which.
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
  const genuine = verify(config.signingSecrets, PURPOSES[target.kind], textOf(target, Number(end)), signature);
  const endsAtMs = Number(end) * 1000;
  return genuine && nowMs < endsAtMs ? { state: "valid", endsAtMs } : { state: "invalid" };
}
