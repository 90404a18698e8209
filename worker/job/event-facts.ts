import type { JobEvent } from "../../schemas/event.ts";

/** What a line of the log says of an event: numbers, codes and times; never a prompt, a link or a key. */
export function eventFacts({ seq, data }: JobEvent): Record<string, unknown> {
  return {
    seq,
    attempt: data.attempt,
    outcome: data.outcome,
    code: data.error?.code ?? data.upstream?.code ?? undefined,
    upstreamRequestId: data.upstream?.requestId ?? undefined,
    retryAt: data.retryAt,
  };
}
