/** Loads the product into this process: the objects once, the Worker as several isolates. Hooks and globals come first. */
import type { createDarkroomClient } from "../client/darkroom-client.ts";
import type { DarkroomProblem, DarkroomUnexpectedAnswer, DarkroomUnreachable } from "../client/errors.ts";
import type { JobFact } from "../worker/job/core/facts.ts";
import type { StoredRecord } from "../worker/job/core/record.ts";
import { COUNTED, Coverage } from "./coverage.ts";
import { installGlobals } from "./platform/globals.ts";
import { addCheckout, type Patch, patchIsolate, productUrl, setHooks } from "./platform/hooks.ts";
import type { ObjectClass } from "./platform/objects.ts";
import type { WorkerModule } from "./platform/worker.ts";

/** The parts of the state machine that this process's runs have reached. */
export const coverage = new Coverage();

/** The client library, as a client imports it. */
export interface ClientLibrary {
  readonly createDarkroomClient: typeof createDarkroomClient;
  readonly DarkroomProblem: typeof DarkroomProblem;
  readonly DarkroomUnexpectedAnswer: typeof DarkroomUnexpectedAnswer;
  readonly DarkroomUnreachable: typeof DarkroomUnreachable;
}

/** What a deployment puts in place. */
export interface Code {
  readonly classes: Readonly<Record<"JOBS" | "LANES" | "CATALOGS" | "OPERATOR_LOG", ObjectClass>>;
  readonly isolates: ReadonlyMap<string, WorkerModule>;
}

export interface Product {
  readonly code: Code;
  /** Another version, which runs before a deployment; null: there is none. */
  readonly before: Code | null;
  readonly library: ClientLibrary;
}

/** The checkout of the other version; absent: none. Set for the processes by `--before`. */
const { SIMULATED_BEFORE } = process.env;

const ISOLATES = ["1", "2"];
/** The objects are loaded as a copy too, because modules that this process loaded before the hooks were set lack the hooks. */
const OBJECTS = "objects";

const loaded = new Map<string | null, Promise<Product>>();

/** The product, or a copy of it with a planted fault. Each is loaded once. */
export function loadProduct(planted: { readonly name: string; readonly patch: Patch } | null = null): Promise<Product> {
  const name = planted?.name ?? null;
  const known = loaded.get(name);
  if (known !== undefined) return known;
  if (loaded.size === 0) prepare();
  if (planted !== null) patchIsolate(planted.name, planted.patch);
  // A copy with a planted fault has one isolate, which its objects share, because each copy takes time to load.
  const product = planted === null ? loadAll(OBJECTS, ISOLATES) : loadAll(planted.name, [planted.name]);
  loaded.set(name, product);
  return product;
}

function prepare(): void {
  setHooks({
    ...COUNTED,
    seen: ([record, fact], result) => {
      coverage.count(record as StoredRecord, (fact as JobFact).type, (result as { readonly ok: boolean }).ok);
    },
  });
  installGlobals();
}

async function loadAll(copy: string, names: readonly string[]): Promise<Product> {
  const client = (await import(productUrl("client/darkroom-client.ts", copy))) as ClientLibrary;
  const errors = (await import(productUrl("client/errors.ts", copy))) as ClientLibrary;
  return {
    code: await load(copy, names),
    before: SIMULATED_BEFORE === undefined ? null : await load(copy, names, addCheckout(SIMULATED_BEFORE)),
    library: { ...errors, createDarkroomClient: client.createDarkroomClient },
  };
}

async function load(copy: string, names: readonly string[], root?: URL): Promise<Code> {
  const objects = (await import(productUrl("worker/index.ts", copy, root))) as Record<string, ObjectClass | undefined>;
  const classOf = (name: string): ObjectClass => {
    const found = objects[name];
    if (found === undefined) throw new Error(`worker/index.ts exports no ${name}`);
    return found;
  };
  const isolates = new Map<string, WorkerModule>();
  for (const name of names) {
    isolates.set(name, (await import(productUrl("worker/index.ts", name, root))) as WorkerModule);
  }
  return {
    classes: {
      JOBS: classOf("GenerationJob"),
      LANES: classOf("LaneDispatcher"),
      CATALOGS: classOf("ClientCatalog"),
      OPERATOR_LOG: classOf("OperatorLog"),
    },
    isolates,
  };
}
