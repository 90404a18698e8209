import { catalogStub } from "../stubs.ts";
import type { HttpContext } from "./http-env.ts";
import { ProblemError } from "./problem.ts";

/** Submissions reserved at once: one call for each such block, so that a submit waits for none of its own. */
const BLOCK = 32;
/** With fewer left the next block is fetched in the background. */
const LOW = 8;
/** How long a refused client does well to wait: jobs finish every few seconds. */
const RETRY_AFTER_SECONDS = 10;

/** Submissions that a client's catalog has promised room for. */
export interface Block {
  left: number;
  endsAtMs: number;
  /** Calls to the catalog on their way. */
  refills: number;
}

/** What this isolate may still submit for each client; the client's catalog keeps the books. */
const blocks = new Map<string, Block>();

function blockOf(client: string, nowMs: number): Block {
  const known = blocks.get(client);
  if (known !== undefined && nowMs < known.endsAtMs) return known;
  const fresh: Block = { left: 0, endsAtMs: Number.POSITIVE_INFINITY, refills: 0 };
  blocks.set(client, fresh);
  return fresh;
}

/**
 * Asks for a block; while another call asks for one, only for the one that this submission needs: a burst that reserved a
 * block for each of its submissions would reserve all there is, and stand in its own way until the promises end.
 */
async function refill(c: HttpContext, client: string, block: Block): Promise<void> {
  const wanted = block.refills === 0 ? BLOCK : 1;
  block.refills += 1;
  try {
    const { granted, endsAtMs } = await catalogStub(c.env, client).reserve(wanted, c.get("config").maxPendingJobs);
    block.left += granted;
    block.endsAtMs = Math.min(block.endsAtMs, endsAtMs);
  } finally {
    block.refills -= 1;
  }
}

/**
 * One submission's, or one retry's, worth of the limit on unfinished jobs: the block that it is of; null at the limit. Give
 * it back with `returnPending` when no job came of it.
 */
export async function takePending(c: HttpContext, client: string): Promise<Block | null> {
  const block = blockOf(client, Date.now());
  if (block.left > 0) {
    block.left -= 1;
    if (block.left < LOW && block.refills === 0) {
      const filled = refill(c, client, block);
      c.executionCtx.waitUntil(
        filled.catch((error: unknown) => console.error({ event: "reserve_failed", client, error: String(error) })),
      );
    }
    return block;
  }
  await refill(c, client, block);
  // Others may have taken what was granted while we waited for it.
  if (block.left <= 0) return null;
  block.left -= 1;
  return block;
}

/** No job came of it: the next submission may have it, as long as the catalog holds the block's promise and no longer. */
export function returnPending(block: Block): void {
  block.left += 1;
}

/** The answer to a client at its limit. */
export function tooManyPending(limit: number): ProblemError {
  return new ProblemError(
    "too_many_pending_jobs",
    `At most ${limit} jobs may be unfinished at once; wait for some, or cancel them.`,
    {
      headers: {
        "Retry-After": String(RETRY_AFTER_SECONDS),
        "RateLimit-Policy": `"pending-jobs";q=${limit};qu="jobs"`,
        RateLimit: `"pending-jobs";r=0;t=${RETRY_AFTER_SECONDS}`,
      },
    },
  );
}
