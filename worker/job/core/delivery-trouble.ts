import type { JobRecord } from "./job-record.ts";

/** Result links are good for 24 h by contract (dashscope.md section 4), whatever their `Expires` says. */
export const LINK_LIFE_MS = 24 * 3_600_000;

const time = (ms: number): string => new Date(ms).toISOString();

/** Why a delivered job is not done yet, for people; null unless a copy has failed since upstream delivered. */
export function deliveryTrouble({ state, delivery }: JobRecord): { nextAtMs: number; message: string } | null {
  if (state.status !== "running" || state.phase !== "storing" || delivery === null || delivery.tries === 0) return null;
  const { tries, links, images, lastReason, deliveredAtMs } = delivery;
  const missing = images.filter((image) => image === null).length;
  const failed = tries === 1 ? "one copy has failed" : `${tries} copies have failed`;
  const minute = (ms: number) => `${time(ms).slice(0, 16).replace("T", " ")} UTC`;
  return {
    nextAtMs: state.storeAtMs,
    message: `Upstream has delivered, but ${missing} of ${links.length} images could not be copied yet: ${lastReason}. So far ${failed}, the next is tried at ${time(state.storeAtMs).slice(11, 19)} UTC, and so on until the links die at ${minute(deliveredAtMs + LINK_LIFE_MS)}. Only the copy is repeated: nothing is generated or paid for again.`,
  };
}
