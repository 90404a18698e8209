import type { CatalogEntry } from "../catalog/contract.ts";
import { catalogStub, jobStub } from "../stubs.ts";
import type { HttpContext } from "./context.ts";

/** Lists and feeds show a waiting job this long after its 202. A job that starts at once notifies the catalog itself before that. */
const GATHER_MS = 250;
/** The most entries in one call. */
const MOST_AT_ONCE = 200;
/** A gathering that is older has died with its request: the next submission starts a new call, which includes its entries. */
const LOST_AFTER_MS = 2_000;
/** Delays between repeated calls, together well below the 30 s that the platform gives a request after its answer. */
const REPEAT_AFTER_MS = [500, 1_000, 2_000, 4_000] as const;

interface Gathering {
  readonly sinceMs: number;
  readonly entries: CatalogEntry[];
}

/** Client → new jobs that its catalog does not list yet. Of this isolate. */
const gatherings = new Map<string, Gathering>();

/**
 * Adds a new or retried job to its client's catalog, together with those submitted at about the same time: one call for a burst
 * instead of one for each. The call is repeated while it fails, and in the end each job is asked to notify the catalog itself. If
 * this isolate dies meanwhile, a new job does so at its next change or when its object next runs: when the lane offers it a
 * start, and within half an hour at the latest. A retried job does so itself too, because its entry moves it from the ended jobs to
 * those that count against the client's limit.
 */
export function showInCatalog(c: HttpContext, client: string, entry: CatalogEntry): void {
  const nowMs = Date.now();
  const known = gatherings.get(client);
  if (known !== undefined && nowMs - known.sinceMs < LOST_AFTER_MS && known.entries.length < MOST_AT_ONCE) {
    known.entries.push(entry);
    return;
  }
  const isLost = known !== undefined && nowMs - known.sinceMs >= LOST_AFTER_MS;
  const gathering: Gathering = { sinceMs: nowMs, entries: isLost ? [...known.entries, entry] : [entry] };
  gatherings.set(client, gathering);
  c.executionCtx.waitUntil(recordLater(c.env, client, gathering));
}

async function recordLater(env: Env, client: string, gathering: Gathering): Promise<void> {
  await scheduler.wait(GATHER_MS);
  if (gatherings.get(client) === gathering) gatherings.delete(client);
  const { entries } = gathering;
  if (await recorded(env, client, entries)) return;
  const asked = await Promise.allSettled(entries.map(({ id, seq }) => jobStub(env, id).catalogMissed(seq)));
  const failed = asked.filter(({ status }) => status === "rejected").length;
  console.error({ event: "catalog_left_to_jobs", client, jobs: entries.length, failed });
}

async function recorded(env: Env, client: string, entries: readonly CatalogEntry[]): Promise<boolean> {
  for (const repeatAfterMs of [...REPEAT_AFTER_MS, null]) {
    try {
      await catalogStub(env, client).recordAll(entries);
      return true;
    } catch (error) {
      console.error({ event: "catalog_not_notified", client, jobs: entries.length, error: String(error) });
    }
    if (repeatAfterMs !== null) await scheduler.wait(repeatAfterMs);
  }
  return false;
}
