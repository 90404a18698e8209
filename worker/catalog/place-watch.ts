import type { QueuePlace } from "../../schemas/job.ts";
import { type Config, configOf } from "../env.ts";
import type { Place } from "../lane/contract.ts";
import { notifyAtMs, toQueuePlace } from "../lane/core/place.ts";
import { laneName } from "../lane/lane-name.ts";
import { laneStub } from "../stubs.ts";
import type { CatalogEntry } from "./contract.ts";

/** Where waiting jobs stand, as watchers were last notified. In memory: the lanes are asked again after an eviction. */
export class PlaceWatch {
  readonly #env: Env;
  readonly #known = new Map<string, Place & { readonly atMs: number }>();

  constructor(env: Env) {
    this.#env = env;
  }

  placeOf(jobId: string): QueuePlace | null {
    const place = this.#known.get(jobId);
    return place === undefined ? null : toQueuePlace(place);
  }

  knows(jobId: string): boolean {
    return this.#known.has(jobId);
  }

  /** The job no longer waits. */
  forget(jobId: string): void {
    this.#known.delete(jobId);
  }

  clear(): void {
    this.#known.clear();
  }

  /** Asks the lanes, one call each, and answers with the jobs whose watchers are to be notified. A lane that fails is left out. */
  async moved(queued: readonly Pick<CatalogEntry, "id" | "model">[]): Promise<string[]> {
    const config = configOf(this.#env);
    if (!config.ok) return [];
    const answers = await Promise.allSettled(
      [...byModel(queued)].map(([model, jobIds]) => this.#ask(config.config, model, jobIds)),
    );
    const moved: string[] = [];
    for (const answer of answers) {
      if (answer.status === "rejected") {
        console.log(JSON.stringify({ event: "feed_places_failed", error: String(answer.reason).slice(0, 200) }));
        continue;
      }
      for (const [jobId, place] of Object.entries(answer.value)) {
        const now = Date.now();
        if ((notifyAtMs(this.#known.get(jobId), place, now) ?? Number.POSITIVE_INFINITY) > now) continue;
        this.#known.set(jobId, { ...place, atMs: now });
        moved.push(jobId);
      }
    }
    return moved;
  }

  async #ask(config: Config, model: string, jobIds: readonly string[]) {
    return laneStub(this.#env, laneName(config, model)).places(jobIds);
  }
}

function byModel(entries: readonly Pick<CatalogEntry, "id" | "model">[]): Map<string, string[]> {
  const ids = new Map<string, string[]>();
  for (const { id, model } of entries) {
    const known = ids.get(model);
    if (known === undefined) ids.set(model, [id]);
    else known.push(id);
  }
  return ids;
}
