import type { CatalogEntry } from "../catalog/contract.ts";
import { catalogStub, jobStub } from "../stubs.ts";
import type { HttpContext } from "./http-env.ts";

/** Lists and feeds hear of a waiting job this long after its 202; a job that starts at once tells of itself before that. */
const GATHER_MS = 250;
/** So many go in one call. */
const MOST_AT_ONCE = 200;
/** A call that gathers for longer died with its request: the next submission gathers anew, and takes over what that one had. */
const LOST_AFTER_MS = 2_000;
/** After a failure it is tried again so much later. Together well below the 30 s that the platform leaves an answered request. */
const PAUSES_MS = [500, 1_000, 2_000, 4_000] as const;

interface Gathering {
  readonly sinceMs: number;
  readonly entries: CatalogEntry[];
}

/** Client → jobs just submitted that its catalog has not heard of. Of this isolate. */
const gatherings = new Map<string, Gathering>();

/**
 * Tells a client's catalog of a new job, together with those submitted in the same moment: one call for a burst and not
 * one for each. While that fails it is tried again, and in the end each job is asked to tell of itself. What this isolate
 * takes along when it dies meanwhile, the job tells at its next change or, once out of memory, at its next look: by its
 * turn in line, and within half an hour.
 */
export function tellCatalog(c: HttpContext, client: string, entry: CatalogEntry): void {
  const nowMs = Date.now();
  const known = gatherings.get(client);
  if (known !== undefined && nowMs - known.sinceMs < LOST_AFTER_MS && known.entries.length < MOST_AT_ONCE) {
    known.entries.push(entry);
    return;
  }
  const isLost = known !== undefined && nowMs - known.sinceMs >= LOST_AFTER_MS;
  const gathering: Gathering = { sinceMs: nowMs, entries: isLost ? [...known.entries, entry] : [entry] };
  gatherings.set(client, gathering);
  c.executionCtx.waitUntil(tellLater(c.env, client, gathering));
}

async function tellLater(env: Env, client: string, gathering: Gathering): Promise<void> {
  await scheduler.wait(GATHER_MS);
  if (gatherings.get(client) === gathering) gatherings.delete(client);
  const { entries } = gathering;
  if (await toldAll(env, client, entries)) return;
  const asked = await Promise.allSettled(entries.map(({ id, seq }) => jobStub(env, id).catalogMissed(seq)));
  const failed = asked.filter(({ status }) => status === "rejected").length;
  console.error({ event: "catalog_left_to_jobs", client, jobs: entries.length, failed });
}

async function toldAll(env: Env, client: string, entries: readonly CatalogEntry[]): Promise<boolean> {
  for (const pauseMs of [...PAUSES_MS, null]) {
    try {
      await catalogStub(env, client).recordAll(entries);
      return true;
    } catch (error) {
      console.error({ event: "catalog_not_told", client, jobs: entries.length, error: String(error) });
    }
    if (pauseMs !== null) await scheduler.wait(pauseMs);
  }
  return false;
}
