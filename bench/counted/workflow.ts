import type { WorkflowEvent, WorkflowStep } from "cloudflare:workers";
import peer, { type ImageRequest, type PeerEnv, ImageJob as RealJob } from "../workflows/worker.ts";
import { countBucket } from "./count-storage.ts";
import type { WorkflowCounts } from "./tally.ts";

/*
 * The Workflow peer with a counter around it, for the bench only. It counts what is billed: requests to the Worker,
 * runs of an instance, its steps, and R2 operations. The engine's state is read from disk.
 */

const counts: WorkflowCounts = { workerRequests: 0, runs: 0, steps: 0, r2ClassA: 0, r2ClassB: 0 };

let bucketIsCounted = false;

function countOnce(bucket: R2Bucket): void {
  if (bucketIsCounted) return;
  bucketIsCounted = true;
  countBucket(bucket, (kind) => {
    if (kind === "A") counts.r2ClassA += 1;
    else counts.r2ClassB += 1;
  });
}

export class ImageJob extends RealJob {
  override async run(event: Readonly<WorkflowEvent<ImageRequest>>, step: WorkflowStep) {
    countOnce(this.env.RESULTS);
    counts.runs += 1;
    const counted = new Proxy(step, {
      get(real, name) {
        const method: unknown = Reflect.get(real, name);
        if (name !== "do" || typeof method !== "function") return method;
        return (...args: unknown[]) => {
          counts.steps += 1;
          return Reflect.apply(method, real, args);
        };
      },
    });
    return super.run(event, counted);
  }
}

export default {
  async fetch(request: Request, env: PeerEnv, ctx: ExecutionContext) {
    countOnce(env.RESULTS);
    if (new URL(request.url).pathname === "/__bench/counts") return Response.json(counts);
    counts.workerRequests += 1;
    return peer.fetch(request, env, ctx);
  },
} satisfies ExportedHandler<PeerEnv>;
