/** Loads the product into this process: the objects once, the Worker as several isolates. Hooks and globals come first. */
import type { JobFact } from "../worker/job/core/job-fact.ts";
import type { JobRecord } from "../worker/job/core/job-record.ts";
import { COUNTED, Coverage } from "./coverage.ts";
import { installGlobals } from "./platform/globals.ts";
import { loadProductWith, type Patch, productUrl } from "./platform/hooks.ts";
import type { ObjectClass } from "./platform/objects.ts";
import type { WorkerModule } from "./platform/worker.ts";

/** What this process's runs have reached of the state machine. */
export const coverage = new Coverage();

export interface Product {
  readonly classes: Readonly<Record<"JOBS" | "LANES" | "CATALOGS", ObjectClass>>;
  readonly isolates: ReadonlyMap<string, WorkerModule>;
}

const ISOLATES = ["1", "2"];

let loaded: Promise<Product> | null = null;

/** `patch`: a planted fault. Once in a process; what is loaded stays. */
export function loadProduct(patch: Patch | null): Promise<Product> {
  loaded ??= load(patch);
  return loaded;
}

async function load(patch: Patch | null): Promise<Product> {
  loadProductWith(patch, {
    ...COUNTED,
    seen: ([record, fact], result) => {
      coverage.count(record as JobRecord, (fact as JobFact).type, (result as { readonly ok: boolean }).ok);
    },
  });
  installGlobals();
  const objects = (await import(productUrl("worker/index.ts"))) as Record<string, ObjectClass | undefined>;
  const classOf = (name: string): ObjectClass => {
    const found = objects[name];
    if (found === undefined) throw new Error(`worker/index.ts exports no ${name}`);
    return found;
  };
  const isolates = new Map<string, WorkerModule>();
  for (const name of ISOLATES) isolates.set(name, (await import(productUrl("worker/index.ts", name))) as WorkerModule);
  return {
    classes: { JOBS: classOf("GenerationJob"), LANES: classOf("LaneDispatcher"), CATALOGS: classOf("ClientCatalog") },
    isolates,
  };
}
