import { linkEndMs } from "../../results/contract.ts";
import type { DeliveryRecord, JobRecord } from "./job-record.ts";

/** When the last link of an image that is still missing ends; null when none is missing. */
export function lastLinkEndMs({ links, images, deliveredAtMs }: DeliveryRecord): number | null {
  const ends = links.filter((_, index) => images[index] === null).map((link) => linkEndMs(link, deliveredAtMs));
  return ends.length === 0 ? null : Math.max(...ends);
}

const time = (ms: number): string => new Date(ms).toISOString();

/** Why a delivered job is not done yet, for people; null unless a copy has failed since upstream delivered. */
export function deliveryTrouble({ state, delivery }: JobRecord): { nextAtMs: number; message: string } | null {
  if (state.status !== "running" || state.phase !== "storing" || delivery === null || delivery.tries === 0) return null;
  const { tries, links, images, lastReason } = delivery;
  const endMs = lastLinkEndMs(delivery) ?? state.storeAtMs;
  const missing = images.filter((image) => image === null).length;
  const failed = tries === 1 ? "one copy has failed" : `${tries} copies have failed`;
  const minute = (ms: number) => `${time(ms).slice(0, 16).replace("T", " ")} UTC`;
  return {
    nextAtMs: state.storeAtMs,
    message: `Upstream has delivered, but ${missing} of ${links.length} images could not be copied yet: ${lastReason}. So far ${failed}, the next is tried at ${time(state.storeAtMs).slice(11, 19)} UTC, and so on until the links end at ${minute(endMs)}. Only the copy is repeated: nothing is generated or paid for again.`,
  };
}
