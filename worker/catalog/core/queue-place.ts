import type { QueuePlace } from "../../../schemas/job.ts";
import type { Place } from "../../lane/contract.ts";

/** A lane's word on a waiting job, as the API says it. */
export function toQueuePlace(place: Place): QueuePlace {
  const { position, estimatedStartAtMs, waitingOn, detail } = place;
  return {
    position,
    estimatedStartAt: estimatedStartAtMs === null ? null : new Date(estimatedStartAtMs).toISOString(),
    waitingOn,
    detail,
  };
}
