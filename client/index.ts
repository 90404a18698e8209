/** The package's main entry: the client, its errors, and the types of everything that goes in and out. */
export type * from "../schemas/bulk.ts";
export type * from "../schemas/doctor.ts";
export type * from "../schemas/event.ts";
export type * from "../schemas/job.ts";
export type * from "../schemas/limits.ts";
export type * from "../schemas/operator.ts";
export type { VariantAsk, VariantFormat, VariantWidth, Workflow } from "../schemas/paths.ts";
export { variantUrl } from "../schemas/paths.ts";
export type * from "../schemas/problem.ts";
export type * from "../schemas/service.ts";
export type * from "../schemas/submit.ts";
export type * from "../schemas/usage.ts";
export type * from "../schemas/webhook.ts";
export type { ClientOptions, ClientTiming, Fetch } from "./client-options.ts";
export {
  type BulkJobs,
  type BulkOptions,
  type CallOptions,
  createDarkroomClient,
  type DarkroomClient,
  type JobFilter,
  type ListOptions,
  type RetryOptions,
  type UsageOptions,
} from "./darkroom-client.ts";
export {
  type CallFacts,
  DarkroomForbiddenOrigin,
  DarkroomProblem,
  DarkroomUnexpectedAnswer,
  DarkroomUnreachable,
  problemOf,
  type ReceivedProblem,
} from "./errors.ts";
export type { ConnectionState, FollowOptions, ReconnectPolicy } from "./follow.ts";
export type { RetryPolicy } from "./retry.ts";
export type { FileSubmit, ReferenceImage, RequestOf, SubmitOptions } from "./submission.ts";
export type { SocketConstructor, SocketLike } from "./text-socket.ts";
export type { FeedOptions } from "./watch-feed.ts";
export type { JobTarget, WatchOptions } from "./watch-job.ts";
