import { paths } from "../../schemas/paths.ts";
import type { Config } from "../env.ts";
import type { LinkMaker } from "../job/core/present.ts";
import { sign, verify } from "./signing-keys.ts";

/** Links end on whole multiples of this, so that equal states have equal links and ETags for its length. */
export const LINK_EPOCH_MS = 6 * 3_600_000;

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

/** When links made now end: one to two epochs ahead, and never after `notAfterMs`. */
function linkEndsAtMs(nowMs: number, notAfterMs: number | null): number {
  const endsAtMs = (Math.floor(nowMs / LINK_EPOCH_MS) + 2) * LINK_EPOCH_MS;
  return notAfterMs === null ? endsAtMs : Math.min(endsAtMs, notAfterMs);
}

/** Which epoch of links `nowMs` is in; part of an ETag. */
export function linkEpoch(config: Pick<Config, "signingSecrets">, nowMs: number): string {
  return config.signingSecrets.length === 0 ? "0" : Math.floor(nowMs / LINK_EPOCH_MS).toString(36);
}

/**
 * Links that start with `origin`. Images and events are signed for this one thing until an end, which is never after
 * `notAfterMs`: what is read through a signed link holds no link that lives longer than it. Without a signing secret (open
 * mode) they are plain.
 */
export function createLinks(
  config: Pick<Config, "signingSecrets">,
  origin: string,
  nowMs: number,
  notAfterMs: number | null = null,
): LinkMaker {
  const [secret] = config.signingSecrets;
  const endsAtSeconds = Math.floor(linkEndsAtMs(nowMs, notAfterMs) / 1000);
  const query = (target: LinkTarget) =>
    secret === undefined
      ? ""
      : `?end=${endsAtSeconds}&signature=${sign(secret, purposeOf(target), textOf(target, endsAtSeconds))}`;
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
  config: Pick<Config, "signingSecrets">,
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
