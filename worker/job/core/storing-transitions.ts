import type { StoredImage } from "../../results/contract.ts";
import { backoffMs } from "./backoff.ts";
import { type Change, iso } from "./change.ts";
import { lastLinkEndMs } from "./delivery-trouble.ts";
import type { FactRefusal } from "./job-fact.ts";
import type { DeliveryRecord } from "./job-record.ts";

/** Between two tries to copy, in ms: a host that fails at once is not asked in a loop. */
const LEAST_WAIT_MS = 250;

/** Keeps the links: from here on a crash, a full disk or a dead network costs another copy, never another image. */
export function beginStoring(change: Change, attempt: number, links: readonly string[]): void {
  change.set({
    delivery: {
      attempt,
      links,
      deliveredAtMs: change.nowMs,
      images: links.map(() => null),
      tries: 0,
      lastReason: null,
    },
  });
  change.goTo({ status: "running", phase: "storing", storeAtMs: change.nowMs });
  change.emit("job.storing", { attempt, images: links.length });
}

/** Whether a delivery can still be stored without asking upstream again. */
export function canStillStore(delivery: DeliveryRecord | null, nowMs: number): delivery is DeliveryRecord {
  if (delivery === null || delivery.images.every((image) => image === "dead")) return false;
  return nowMs < (lastLinkEndMs(delivery) ?? Number.POSITIVE_INFINITY);
}

/** Goes on with links that an earlier life of the job left behind. */
export function resumeStoring(change: Change): void {
  const { delivery } = change.record;
  if (delivery === null) throw new Error("nothing to store");
  change.set({ delivery: { ...delivery, tries: 0 } });
  change.goTo({ status: "running", phase: "storing", storeAtMs: change.nowMs });
  change.emit("job.storing", {
    attempt: delivery.attempt,
    images: delivery.links.length,
    reason: "upstream had delivered already: the images are copied, not made again",
  });
  settle(change);
}

export function imageStored(change: Change, attempt: number, index: number, image: StoredImage): FactRefusal | null {
  const delivery = storingOf(change, attempt);
  if (delivery === null || delivery.images[index] !== null) return "stale";
  change.set({ delivery: { ...delivery, images: delivery.images.with(index, image) } });
  settle(change);
  return null;
}

export function storeFailed(
  change: Change,
  attempt: number,
  index: number,
  dead: boolean,
  reason: string,
): FactRefusal | null {
  const delivery = storingOf(change, attempt);
  if (delivery === null || delivery.images[index] !== null) return "stale";
  const tries = delivery.tries + 1;
  const images = dead ? delivery.images.with(index, "dead") : delivery.images;
  change.set({ delivery: { ...delivery, images, tries, lastReason: reason } });
  if (!dead) {
    const storeAtMs = change.nowMs + backoffMs(tries, change.context.jitter, LEAST_WAIT_MS);
    change.goTo({ status: "running", phase: "storing", storeAtMs });
    const missing = images.filter((image) => image === null).length;
    change.emit("job.storing", { attempt, images: missing, retryAt: iso(storeAtMs), reason });
  }
  settle(change);
  return null;
}

function storingOf(change: Change, attempt: number): DeliveryRecord | null {
  const { state, delivery } = change.record;
  const storing = state.status === "running" && state.phase === "storing";
  return storing && delivery !== null && delivery.attempt === attempt ? delivery : null;
}

/** Ends the job once every image is stored or lost for good. Some stored and some lost is a success with a warning. */
function settle(change: Change): void {
  const { delivery } = change.record;
  if (delivery === null || delivery.images.some((image) => image === null)) return;
  const stored = delivery.images.filter((image) => image !== null && image !== "dead");
  const lost = delivery.images.length - stored.length;
  if (stored.length === 0) {
    change.fail({
      code: "result_lost",
      message: `upstream delivered, but the images could not be copied before their links ended: ${delivery.lastReason ?? "no reason known"}`,
      hint: "The images were billed. A retry makes, and pays for, new ones.",
      upstream: upstreamOf(change, delivery),
    });
    change.set({ delivery: null });
    return;
  }
  if (lost > 0) {
    const message = `${lost} of ${delivery.images.length} images could not be copied: ${delivery.lastReason ?? "no reason known"}`;
    change.set({ warnings: [...change.record.warnings, { code: "result_partly_lost", message }] });
  }
  change.goTo({ status: "succeeded", finishedAtMs: change.nowMs, images: stored });
  change.set({ expiresAtMs: change.nowMs + change.context.retentionMs });
  change.emit("job.succeeded", { attempt: delivery.attempt, images: stored.length });
}

function upstreamOf(change: Change, delivery: DeliveryRecord) {
  const attempt = change.record.attempts.find((known) => known.number === delivery.attempt);
  return attempt === undefined ? null : { code: attempt.report.code, requestId: attempt.report.requestId };
}
