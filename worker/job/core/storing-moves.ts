import type { Change } from "./change.ts";
import type { FactOf, FactRefusal } from "./facts.ts";
import { attemptOf, type DeliveryRecord, iso, isStoring } from "./record.ts";
import { backoffMs } from "./retry-decision.ts";
import { lastLinkEndMs } from "./view.ts";

/** The least wait between two tries to copy, in ms, so that a host that fails at once is not asked in a loop. */
const LEAST_WAIT_MS = 250;

/** Stores the links: from here on a crash, a full disk or a dead network costs another copy, never another image. */
export function beginStoring(change: Change, attempt: number, links: readonly string[]): void {
  const images = links.map(() => null);
  change.set({ delivery: { attempt, links, deliveredAtMs: change.nowMs, images, tries: 0, lastReason: null } });
  change.goTo({ status: "running", phase: "storing", storeAtMs: change.nowMs });
  change.emit("job.storing", { attempt, images: links.length });
}

/** Whether a delivery can still be stored without asking upstream again. */
export function canStillStore(delivery: DeliveryRecord | null, nowMs: number): delivery is DeliveryRecord {
  if (delivery === null || delivery.images.every((image) => image === "dead")) return false;
  return nowMs < (lastLinkEndMs(delivery) ?? Number.POSITIVE_INFINITY);
}

/** Stores what was delivered before the last retry by hand. */
export function resumeStoring(change: Change): void {
  const { delivery } = change.job;
  if (delivery === null) throw new Error("nothing to store");
  change.set({ delivery: { ...delivery, tries: 0 } });
  change.goTo({ status: "running", phase: "storing", storeAtMs: change.nowMs });
  change.emit("job.storing", {
    attempt: delivery.attempt,
    images: delivery.links.length,
    reason: "upstream had delivered already: the images are copied, not made again",
  });
  finishOnceStored(change);
}

export function imageStored(change: Change, fact: FactOf<"image_stored">): FactRefusal | null {
  const delivery = missingImage(change, fact);
  if (delivery === null) return "stale";
  change.set({ delivery: { ...delivery, images: delivery.images.with(fact.index, fact.image) } });
  finishOnceStored(change);
  return null;
}

export function storeFailed(change: Change, fact: FactOf<"store_failed">): FactRefusal | null {
  const { attempt, index, dead, reason } = fact;
  const delivery = missingImage(change, fact);
  if (delivery === null) return "stale";
  const tries = delivery.tries + 1;
  const images = dead ? delivery.images.with(index, "dead") : delivery.images;
  change.set({ delivery: { ...delivery, images, tries, lastReason: reason } });
  if (!dead) {
    const storeAtMs = change.nowMs + backoffMs(tries, change.context.jitter, LEAST_WAIT_MS);
    change.goTo({ status: "running", phase: "storing", storeAtMs });
    const missing = images.filter((image) => image === null).length;
    change.emit("job.storing", { attempt, images: missing, retryAt: iso(storeAtMs), reason });
  }
  finishOnceStored(change);
  return null;
}

/** The delivery that is being stored, while this image of it is missing. */
function missingImage({ job }: Change, fact: { readonly attempt: number; readonly index: number }) {
  const { delivery } = job;
  if (!isStoring(job) || delivery === null || delivery.attempt !== fact.attempt) return null;
  return delivery.images[fact.index] === null ? delivery : null;
}

/** Ends the job once every image is stored or lost for good. Some stored and some lost is a success with a warning. */
function finishOnceStored(change: Change): void {
  const { delivery } = change.job;
  if (delivery === null || delivery.images.some((image) => image === null)) return;
  const stored = delivery.images.filter((image) => image !== null && image !== "dead");
  const lost = delivery.images.length - stored.length;
  const why = delivery.lastReason ?? "no reason known";
  if (stored.length === 0) {
    const attempt = attemptOf(change.job, delivery.attempt);
    change.fail({
      code: "result_lost",
      message: `upstream delivered, but the images could not be copied before their links ended: ${why}`,
      hint: "The images were billed. A retry makes, and pays for, new ones.",
      upstream: attempt === undefined ? null : { code: attempt.report.code, requestId: attempt.report.requestId },
    });
    change.set({ delivery: null });
    return;
  }
  if (lost > 0) {
    const message = `${lost} of ${delivery.images.length} images could not be copied: ${why}`;
    change.warn({ code: "result_partly_lost", message });
  }
  change.finish({ status: "succeeded", finishedAtMs: change.nowMs, images: stored });
  change.emit("job.succeeded", { attempt: delivery.attempt, images: stored.length });
}
