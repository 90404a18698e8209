import { NO_REASON, type QueuePlace } from "../../../schemas/job.ts";
import type { Place } from "../../lane/contract.ts";

/** The place of a waiting job in its lane, as the API shows it. */
export function toQueuePlace(place: Place): QueuePlace {
  const { position, estimatedStartAtMs, waitingOn, reason = NO_REASON, detail } = place;
  return {
    position,
    estimatedStartAt: estimatedStartAtMs === null ? null : new Date(estimatedStartAtMs).toISOString(),
    waitingOn,
    reason,
    detail,
  };
}
