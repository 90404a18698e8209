import type { CatalogEntry } from "../catalog/contract.ts";
import { catalogStub } from "../stubs.ts";
import type { HttpContext } from "./http-env.ts";

/** Lists and feeds hear of a waiting job this long after its 202; a job that starts at once tells of itself before that. */
const GATHER_MS = 250;
/** So many go in one call. */
const MOST_AT_ONCE = 200;
/** A call that gathers for longer died with its request: the next submission gathers anew. */
const LOST_AFTER_MS = 10_000;

interface Gathering {
  readonly sinceMs: number;
  readonly entries: CatalogEntry[];
}

/** Client → jobs just submitted that its catalog has not heard of. Of this isolate. */
const gatherings = new Map<string, Gathering>();

/**
 * Tells a client's catalog of a new job, together with those submitted in the same moment: one call for a burst and not
 * one for each. When it fails, or this isolate dies before, the job itself tells at its next change or look.
 */
export function tellCatalog(c: HttpContext, client: string, entry: CatalogEntry): void {
  const nowMs = Date.now();
  const known = gatherings.get(client);
  if (known !== undefined && nowMs - known.sinceMs < LOST_AFTER_MS && known.entries.length < MOST_AT_ONCE) {
    known.entries.push(entry);
    return;
  }
  const gathering: Gathering = { sinceMs: nowMs, entries: [entry] };
  gatherings.set(client, gathering);
  c.executionCtx.waitUntil(tellLater(c.env, client, gathering));
}

async function tellLater(env: Env, client: string, gathering: Gathering): Promise<void> {
  await scheduler.wait(GATHER_MS);
  if (gatherings.get(client) === gathering) gatherings.delete(client);
  try {
    await catalogStub(env, client).recordAll(gathering.entries);
  } catch (error) {
    console.error({ event: "catalog_not_told", client, jobs: gathering.entries.length, error: String(error) });
  }
}
