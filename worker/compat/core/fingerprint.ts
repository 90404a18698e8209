/** Decides when two requests of a compatible API are the same. Pure. */
import type { JobRequest, Metadata } from "../../../schemas/job.ts";
import type { Workflow } from "../../../schemas/paths.ts";
import type { WebhookTarget } from "../../../schemas/webhook.ts";
import { GivenImage } from "../../http/core/given-fields.ts";
import type { LeftOut } from "../../job/contract.ts";

/** One job of a request, checked. */
export interface PartOfRequest {
  readonly workflow: Workflow;
  readonly model: string;
  readonly request: Omit<JobRequest, "images">;
  readonly leftOut: readonly LeftOut[];
  readonly sources: readonly (string | GivenImage)[];
  readonly metadata: Metadata;
  readonly webhook: WebhookTarget | null;
}

/**
 * A text that is equal exactly for requests of the same route and end user that ask for the same. What the client did not
 * give (a seed that is drawn anew, a default that a deploy may change) is not compared, and an uploaded image is compared by
 * its bytes. `user` is the client's name for its end user: one user does not get the image of another.
 */
export function fingerprintText(route: string, user: string | null, parts: readonly PartOfRequest[]): string {
  return JSON.stringify([
    route,
    user,
    parts.map(({ workflow, model, request, leftOut, sources, metadata, webhook }) => {
      const isLeftOut = (field: string) => leftOut.some((name) => name === field);
      const given = Object.entries(request).filter(([field]) => !isLeftOut(field));
      return [
        workflow,
        isLeftOut("model") ? null : model,
        given.sort(([a], [b]) => (a < b ? -1 : 1)),
        sources.map((source) => (source instanceof GivenImage ? `bytes:${source.key}` : source)),
        Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)),
        webhook === null ? null : [webhook.url, [...(webhook.events ?? [])].sort()],
      ];
    }),
  ]);
}
