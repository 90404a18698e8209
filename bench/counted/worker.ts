import { DurableObject } from "cloudflare:workers";
import worker, * as product from "../../worker/index.ts";
import { countBucket, countStorage, settleCursors } from "./count-storage.ts";
import { type Counts, newTally } from "./tally.ts";

/*
 * The product with a counter around it, for the bench only: every object is the product's own inside a wrapper that counts
 * calls from outside and storage operations. Calls of an object to itself are not billed and not counted.
 */

const counts: Counts = { workerRequests: 0, r2ClassA: 0, r2ClassB: 0, objects: {} };

type ObjectClass = new (ctx: DurableObjectState, env: Env) => DurableObject<Env>;

function counted(name: string, Real: ObjectClass): ObjectClass {
  const tally = newTally();
  counts.objects[name] = tally;
  class Shell extends DurableObject<Env> {
    readonly real: DurableObject<Env>;

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      countStorage(ctx.storage, tally);
      this.real = new Real(ctx, env);
    }
  }
  for (const method of Object.getOwnPropertyNames(Real.prototype)) {
    const real: unknown = Object.getOwnPropertyDescriptor(Real.prototype, method)?.value;
    if (method === "constructor" || typeof real !== "function") continue;
    Object.defineProperty(Shell.prototype, method, {
      value(this: Shell, ...args: unknown[]) {
        tally.calls[method] = (tally.calls[method] ?? 0) + 1;
        if (method === "webSocketMessage") tally.socketMessages += 1;
        else if (method === "alarm") tally.alarms += 1;
        // A socket's messages are counted above; its end is no request of its own.
        if (!method.startsWith("webSocket")) tally.requests += 1;
        return Reflect.apply(real, this.real, args);
      },
    });
  }
  return Shell;
}

export const GenerationJob = counted("GenerationJob", product.GenerationJob);
export const LaneDispatcher = counted("LaneDispatcher", product.LaneDispatcher);
export const ClientCatalog = counted("ClientCatalog", product.ClientCatalog);
export { OperatorLog } from "../../worker/operator/operator-log.ts";

let bucketIsCounted = false;

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    if (!bucketIsCounted) {
      bucketIsCounted = true;
      countBucket(env.RESULTS, (kind) => {
        if (kind === "A") counts.r2ClassA += 1;
        else counts.r2ClassB += 1;
      });
    }
    if (new URL(request.url).pathname === "/__bench/counts") {
      settleCursors();
      return Response.json(counts);
    }
    counts.workerRequests += 1;
    return worker.fetch(request, env, ctx);
  },
} satisfies ExportedHandler<Env>;
