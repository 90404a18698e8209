/** DashScope's failures and what each means for us: its error page, cross-read with recorded answers. Pure data. */
import type { Failure } from "./contract.ts";
import { REGION_NAMES, type Region } from "./regions.ts";

/** What a hint may name. */
export interface HintContext {
  readonly region: Region;
  /** The host that is called. */
  readonly host: string;
}

/** One row of the table; `message` is the first half of a sentence, the code follows it. */
export interface FailureRule extends Pick<Failure, "disposition" | "jobCode" | "fault"> {
  readonly message: string;
  readonly hint: (context: HintContext) => string;
  /** Absent: failed calls are not billed, says the price page. */
  readonly mayBeBilled?: true;
  readonly maxRepeats?: number;
  /** Even when upstream names no time. */
  readonly leastWaitMs?: number;
}

function place({ region, host }: HintContext): string {
  return `QWEN_REGION=${region} (${REGION_NAMES[region]}, host ${host})`;
}

const ourFault = { disposition: "give_up", fault: "request" } as const;
const accountFault = { disposition: "block", jobCode: "upstream_rejected", fault: "account" } as const;
const upstreamFault = { disposition: "retry", jobCode: "attempts_exhausted", fault: "upstream" } as const;
const throttled = { disposition: "put_back", jobCode: "attempts_exhausted", fault: "account" } as const;

/** Shown once a job has failed for it: until then it was tried again without anyone's doing. */
const retryLater = () => "The trouble was upstream's own and may be over by now: retry the job.";

export const RULES = {
  invalidRequest: {
    ...ourFault,
    jobCode: "invalid_request",
    message: "DashScope refused the request's parameters",
    hint: () => "Read upstream's own words in the attempt, change the request and submit it again.",
  },
  tooLargeRequest: {
    ...ourFault,
    jobCode: "invalid_request",
    message: "DashScope refused the request as too large",
    hint: () => "Give smaller or fewer input images, or their addresses instead of their bytes.",
  },
  invalidImage: {
    ...ourFault,
    jobCode: "invalid_image",
    message: "DashScope could not use an input image",
    hint: () =>
      "Use JPEG, PNG, BMP, TIFF, WEBP or GIF of at most 10 MB, with sides of 384 to 3072 pixels, and check that the file opens.",
  },
  imageUnreachable: {
    disposition: "retry",
    fault: "request",
    jobCode: "image_unreachable",
    maxRepeats: 1,
    message: "DashScope could not download an input image",
    hint: () =>
      "The image's address must be open to the public internet, without sign-in; else upload the image itself.",
  },
  contentRejected: {
    ...ourFault,
    jobCode: "content_rejected",
    message: "DashScope's moderation refused the prompt, an input image or the result",
    hint: () => "Change the wording or the images: the same request will be refused again.",
  },
  modelUnavailable: {
    ...ourFault,
    jobCode: "model_unavailable",
    message: "DashScope does not offer this model here",
    hint: (context) =>
      `Check that the model is offered in ${place(context)}, and choose another if not; models differ by region.`,
  },
  accessDenied: {
    ...ourFault,
    jobCode: "model_unavailable",
    message: "DashScope denied access to this model or this way of calling it",
    hint: (context) =>
      `Check in the Model Studio console of ${place(context)} that the key's workspace may use the model; upstream's own words are in the attempt.`,
  },
  rejected: {
    ...ourFault,
    jobCode: "upstream_rejected",
    message: "DashScope refused the call",
    hint: () => "Upstream's own words and its request id are in the attempt; its support can look the id up.",
  },
  badKey: {
    ...accountFault,
    message: "DashScope does not accept the API key",
    hint: (context) =>
      `QWEN_API_KEY and the region must match: this deployment calls ${place(context)}, and a key of another region is refused. Take a key of this region from its Model Studio console (API keys), set it with \`npx wrangler secret put QWEN_API_KEY\`, or change QWEN_REGION.`,
  },
  notEntitled: {
    ...accountFault,
    message: "DashScope says that the account may not use this model",
    hint: (context) =>
      `Look in the Model Studio console of ${place(context)}: activate the service, and grant the model to the key's workspace (Workspaces, model permissions).`,
  },
  noWorkspace: {
    ...accountFault,
    message: "DashScope does not know the workspace",
    hint: (context) =>
      `The workspace of QWEN_BASE_URL must exist in ${place(context)} and the key must belong to it: see Workspaces in the Model Studio console.`,
  },
  arrears: {
    ...accountFault,
    message: "DashScope says that the account has unpaid bills or has not bought the service",
    hint: () =>
      "Look in the Alibaba Cloud console under Expenses (Billing Management): settle what is overdue or buy the service; all goes on by itself afterwards.",
  },
  freeTierSpent: {
    ...accountFault,
    message: "The account's free quota for this model is used up, and it is set to use the free quota only",
    hint: () =>
      "In the Model Studio console, open the model's page and switch off “free quota only” (stop when the free tier is exhausted), or choose another model.",
  },
  wrongHost: {
    ...accountFault,
    message: "What answered does not look like DashScope",
    hint: ({ host }) =>
      `Check QWEN_BASE_URL: it names ${host}, must be DashScope's own host or a workspace's, and ends before /api/v1.`,
  },
  redirected: {
    ...accountFault,
    message: "The upstream host redirects elsewhere, and a redirect is never followed with the key in hand",
    hint: ({ host }) => `Check QWEN_BASE_URL: it names ${host}, which must answer itself.`,
  },
  throttled: {
    ...throttled,
    message: "DashScope's rate limit was hit",
    hint: () =>
      "Nothing is lost: the job keeps its place. If it happens often, someone else uses the same account, or LANE_LIMITS is above the account's real quota.",
  },
  allocationSpent: {
    ...throttled,
    // The vendor says that such limits recover within a minute.
    leastWaitMs: 60_000,
    message: "The account's allocated quota for this model is exceeded",
    hint: () =>
      "Nothing is lost: the job keeps its place. Ask for a larger quota in the Model Studio console, or check whether the free quota is used up.",
  },
  internal: { ...upstreamFault, maxRepeats: 3, message: "DashScope had an internal error", hint: retryLater },
  timedOutThere: {
    ...upstreamFault,
    maxRepeats: 1,
    message: "DashScope gave up on the request as too slow",
    hint: () => "A smaller size, fewer images or a simpler prompt may get through.",
  },
  overloaded: { ...upstreamFault, message: "DashScope is short of capacity for this model", hint: retryLater },
  /** A 5xx without DashScope's own code comes from a gateway, which may have lost the answer of work that was done. */
  gateway: { ...upstreamFault, mayBeBilled: true, message: "DashScope's gateway failed", hint: retryLater },
  unexplained: { ...upstreamFault, maxRepeats: 1, message: "DashScope failed without a known cause", hint: retryLater },
  noImage: {
    ...upstreamFault,
    mayBeBilled: true,
    maxRepeats: 1,
    message: "DashScope reported success but delivered no image",
    hint: retryLater,
  },
  badBody: {
    ...upstreamFault,
    mayBeBilled: true,
    maxRepeats: 1,
    message: "DashScope reported success but its answer cannot be read",
    hint: retryLater,
  },
  tooLarge: {
    ...upstreamFault,
    mayBeBilled: true,
    maxRepeats: 1,
    message: "DashScope's answer was too large to be one and was cut off",
    hint: retryLater,
  },
  notSent: { ...upstreamFault, message: "DashScope could not be reached", hint: retryLater },
  cut: {
    ...upstreamFault,
    mayBeBilled: true,
    message: "The connection to DashScope broke before its answer came",
    hint: retryLater,
  },
  unreadInput: {
    disposition: "retry",
    jobCode: "attempts_exhausted",
    fault: "none",
    message: "An uploaded image could not be read from storage while it was sent",
    hint: () => "Nothing was billed. Retry the job; if it goes on, submit it anew with its images.",
  },
  aborted: {
    disposition: "retry",
    jobCode: "outcome_uncertain",
    fault: "none",
    mayBeBilled: true,
    message: "The call was ended before an answer came",
    hint: () => "Upstream may have finished the image all the same; its answer can no longer be read.",
  },
  taskUnknown: {
    disposition: "retry",
    jobCode: "outcome_uncertain",
    fault: "none",
    mayBeBilled: true,
    message: "DashScope no longer knows the task: tasks are forgotten after 24 hours",
    hint: () => "Whether an image was made cannot be learned; retrying makes a new one.",
  },
  taskCanceled: {
    disposition: "retry",
    jobCode: "upstream_rejected",
    fault: "none",
    maxRepeats: 1,
    message: "The task was canceled upstream, and not from here",
    hint: () => "Someone with access to the account canceled it; retry the job when that is settled.",
  },
} as const satisfies Record<string, FailureRule>;
