/**
 * DashScope's failures and what each means for a job: one table by HTTP status and code. Sources: the vendor's error page,
 * recorded answers, and codes quoted in public issue trackers. Pure data.
 */
import type { Failure } from "./contract.ts";
import { REGION_NAMES, type Region } from "./wire.ts";

/** What a hint may mention. */
export interface HintContext {
  readonly region: Region;
  /** The host that is called. */
  readonly host: string;
}

/** One row of the table. `classify` describes the order in which `codes`, `families` and the statuses are checked. */
export interface FailureRule extends Pick<Failure, "disposition" | "jobCode" | "fault"> {
  /** The first half of a sentence; the code or the status follows it. */
  readonly message: string;
  readonly hint: (context: HintContext) => string;
  /** Absent means not billed: the vendor's price page says that failed calls are free. */
  readonly mayBeBilled?: true;
  readonly maxRepeats?: number;
  readonly counted?: false;
  /** The least wait before the next start, even when upstream names none. */
  readonly leastWaitMs?: number;
  /** Exact codes. `404 InvalidParameter` is that code with that status only. Case and underscores do not matter. */
  readonly codes?: readonly string[];
  /** First words of codes: `BadRequest` covers `BadRequest.Anything` that no row names exactly. */
  readonly families?: readonly string[];
  /** HTTP statuses that select this row when no row has the code, or there is no code. `5xx` covers all that are not listed by number. */
  readonly statuses?: readonly (number | StatusClass)[];
  /** Like `statuses`, for answers without any code: a page of a gateway or of a wrong host, or an empty body. */
  readonly bareStatuses?: readonly (number | StatusClass)[];
}

export type StatusClass = "4xx" | "5xx";

function place({ region, host }: HintContext): string {
  return `QWEN_REGION=${region} (${REGION_NAMES[region]}, host ${host})`;
}

const requestFault = { disposition: "give_up", fault: "request" } as const;
const accountFault = { disposition: "block", jobCode: "upstream_rejected", fault: "account" } as const;
const upstreamFault = { disposition: "retry", jobCode: "attempts_exhausted", fault: "upstream" } as const;
const throttled = { disposition: "put_back", jobCode: "attempts_exhausted", fault: "account" } as const;

/** Shown after a job has failed for this. Until then the job was repeated automatically. */
const retryLater = () => "The failure was upstream's own and may be over by now: retry the job.";
const lostAnswer = () =>
  "The request may have been processed, and the image billed, although no answer arrived. Retry the job to make a new image.";

export const RULES = {
  invalidRequest: {
    ...requestFault,
    jobCode: "invalid_request",
    message: "DashScope refused the request's parameters",
    hint: () => "Read upstream's own words in the attempt, change the request and submit it again.",
    codes: ["InvalidParameter", "invalid_parameter_error", "invalid_request_error", "UnsupportedOperation"],
    families: ["BadRequest", "InvalidParameter"],
    statuses: [400, 422],
  },
  tooLargeRequest: {
    ...requestFault,
    jobCode: "invalid_request",
    message: "DashScope refused the request as too large",
    hint: () => "Give smaller or fewer input images, or their addresses instead of their bytes.",
    codes: ["BadRequest.TooLarge"],
    statuses: [413],
  },
  invalidImage: {
    ...requestFault,
    jobCode: "invalid_image",
    message: "DashScope could not use an input image",
    hint: () =>
      "Use JPEG, PNG, BMP, TIFF, WEBP or GIF of at most 10 MB, with sides of 384 to 3072 pixels, and check that the file opens.",
    codes: ["InvalidImageFormat", "InvalidImageResolution"],
    families: ["InvalidImage", "InvalidFile"],
  },
  imageUnreachable: {
    disposition: "retry",
    fault: "request",
    jobCode: "image_unreachable",
    maxRepeats: 1,
    message: "DashScope could not download an input image",
    hint: () =>
      "The image's address must be open to the public internet, without sign-in; else upload the image itself.",
    codes: ["BadRequest.InputDownloadFailed", "InvalidURL", "InvalidParameter.DataInspection"],
    families: ["InvalidURL"],
  },
  contentRejected: {
    ...requestFault,
    jobCode: "content_rejected",
    message: "DashScope's moderation refused the prompt, an input image or the result",
    hint: () => "Change the wording or the images: the same request will be refused again.",
    codes: ["DataInspectionFailed", "IPInfringementSuspect", "CustomRoleBlocked", "FaqRuleBlocked"],
    families: ["DataInspectionFailed"],
  },
  modelUnavailable: {
    ...requestFault,
    jobCode: "model_unavailable",
    message: "DashScope does not offer this model here",
    hint: (context) =>
      `Check that the model is offered in ${place(context)}, and choose another if not; models differ by region.`,
    // The live answer for an unknown model, seen in 2026: 404 InvalidParameter "Model not exist.".
    codes: ["ModelNotFound", "NotFound", "404 InvalidParameter"],
    statuses: [404],
  },
  accessDenied: {
    ...requestFault,
    jobCode: "model_unavailable",
    message: "DashScope denied access to this model or this way of calling it",
    hint: (context) =>
      `Check in the Model Studio console of ${place(context)} that the key's workspace may use the model; upstream's own words are in the attempt.`,
    codes: ["AccessDenied"],
    statuses: [403],
  },
  rejected: {
    ...requestFault,
    jobCode: "upstream_rejected",
    message: "DashScope refused the call",
    hint: () => "Upstream's own words and its request id are in the attempt; its support can look the id up.",
    statuses: ["4xx"],
  },
  badKey: {
    ...accountFault,
    message: "DashScope does not accept the API key",
    hint: (context) =>
      `QWEN_API_KEY and the region must match: this deployment calls ${place(context)}, and a key of another region is refused. Take a key of this region from its Model Studio console (API keys), set it with \`npx wrangler secret put QWEN_API_KEY\`, or change QWEN_REGION.`,
    codes: ["InvalidApiKey", "NOT AUTHORIZED"],
    families: ["InvalidApiKey"],
    statuses: [401],
  },
  notEntitled: {
    ...accountFault,
    message: "DashScope says that the account may not use this model",
    hint: (context) =>
      `Look in the Model Studio console of ${place(context)}: activate the service, and grant the model to the key's workspace (Workspaces, model permissions).`,
    codes: ["Model.AccessDenied", "Workspace.AccessDenied", "App.AccessDenied"],
    families: ["AccessDenied"],
  },
  noWorkspace: {
    ...accountFault,
    message: "DashScope does not know the workspace",
    hint: (context) =>
      `The workspace of QWEN_BASE_URL must exist in ${place(context)} and the key must belong to it: see Workspaces in the Model Studio console.`,
    codes: ["WorkSpaceNotFound"],
  },
  arrears: {
    ...accountFault,
    message: "DashScope says that the account has unpaid bills or has not bought the service",
    hint: () =>
      "Look in the Alibaba Cloud console under Expenses (Billing Management): settle what is overdue or buy the service. The lane resumes by itself afterwards.",
    codes: ["Arrearage", "CommodityNotPurchased", "PrepaidBillOverdue", "PostpaidBillOverdue"],
    families: ["Arrearage"],
    statuses: [402],
  },
  freeTierSpent: {
    ...accountFault,
    message: "The account's free quota for this model is used up, and it is set to use the free quota only",
    hint: () =>
      "In the Model Studio console, open the model's page and switch off “free quota only” (stop when the free tier is exhausted), or choose another model.",
    codes: ["AllocationQuota.FreeTierOnly"],
  },
  quotaSpent: {
    ...accountFault,
    message: "The account's quota or balance for this model is used up",
    hint: (context) =>
      `Look in the Model Studio console of ${place(context)} at the model's free quota and under Expenses at the balance. The lane resumes by itself once there is quota again.`,
    families: ["AllocationQuota"],
  },
  wrongHost: {
    ...accountFault,
    message: "DashScope does not seem to be what answered",
    hint: ({ host }) =>
      `Check QWEN_BASE_URL: it names ${host}, must be DashScope's own host or a workspace's, and ends before /api/v1.`,
    bareStatuses: [404, 405],
  },
  redirected: {
    ...accountFault,
    message:
      "The upstream host redirects elsewhere, and a redirect is never followed because the key would be sent along",
    hint: ({ host }) => `Check QWEN_BASE_URL: it names ${host}, which must answer itself.`,
  },
  throttled: {
    ...throttled,
    message: "DashScope's rate limit was hit",
    hint: () =>
      "Nothing is lost: the job keeps its place. If it happens often, someone else uses the same account, or LANE_LIMITS is above the account's real quota.",
    codes: ["Throttling"],
    families: ["Throttling"],
    statuses: [429],
  },
  allocationSpent: {
    ...throttled,
    // The vendor says that such limits recover within a minute.
    leastWaitMs: 60_000,
    message: "The account's allocated quota for this model is exceeded",
    hint: () =>
      "Nothing is lost: the job keeps its place. Ask for a larger quota in the Model Studio console, or check whether the free quota is used up.",
    codes: ["Throttling.AllocationQuota", "insufficient_quota"],
  },
  internal: {
    ...upstreamFault,
    maxRepeats: 3,
    message: "DashScope had an internal error",
    hint: retryLater,
    codes: [
      ...["InternalError", "InternalError.Algo", "InternalError.FileUpload", "InternalError.Upload"],
      ...["SystemError", "ModelServiceFailed", "RewriteFailed"],
    ],
    statuses: ["5xx"],
  },
  /** `InternalError.Algo.Anything`: the model's complaint about one input, not a sign of upstream's health. */
  algorithmFailed: {
    disposition: "retry",
    jobCode: "attempts_exhausted",
    fault: "none",
    maxRepeats: 1,
    message: "The model failed on this request",
    hint: () => "Read upstream's own words in the attempt. If they blame the request, change it; else retry the job.",
    families: ["InternalError"],
  },
  timedOutThere: {
    ...upstreamFault,
    maxRepeats: 1,
    message: "DashScope gave up on the request as too slow",
    hint: () => "A smaller size, fewer images or a simpler prompt may get through.",
    codes: ["InternalError.Timeout", "RequestTimeOut"],
    statuses: [408],
  },
  overloaded: {
    ...upstreamFault,
    message: "DashScope is short of capacity for this model",
    hint: retryLater,
    codes: ["ModelServingError", "ModelUnavailable"],
  },
  /** A 5xx without a code of DashScope comes from a gateway, which may have lost the answer to finished work. */
  gateway: {
    ...upstreamFault,
    mayBeBilled: true,
    message: "DashScope's gateway failed",
    hint: lostAnswer,
    statuses: [502],
    bareStatuses: ["5xx"],
  },
  gatewayTimedOut: {
    ...upstreamFault,
    mayBeBilled: true,
    message: "DashScope's gateway waited for the answer and gave up",
    hint: lostAnswer,
    statuses: [504, 520, 527, 598, 599],
    bareStatuses: [408],
  },
  /** Cloudflare's 522 means that the connection could not be made, or that the request was sent and never acknowledged. */
  connectionTimedOut: {
    ...upstreamFault,
    mayBeBilled: true,
    message: "DashScope's connection timed out, perhaps after the request was sent",
    hint: lostAnswer,
    statuses: [522],
  },
  answerTimedOut: {
    ...upstreamFault,
    mayBeBilled: true,
    message: "DashScope's answer did not come before Cloudflare's own limit, which ended the call",
    hint: () =>
      "The request was sent, so the image may have been made and billed. If this happens often, use a faster model, a smaller size or an asynchronous model: a task outlives the connection that submitted it.",
    statuses: [524],
  },
  /** Cloudflare's pages for an origin that it could not connect to: refused (521), unreachable (523), TLS (525, 526), DNS (530). */
  notSent: {
    ...upstreamFault,
    message: "DashScope could not be reached",
    hint: retryLater,
    statuses: [521, 523, 525, 526, 530],
  },
  /** A success status with a code that no row knows, or a failed task without a code. */
  unexplained: {
    disposition: "retry",
    jobCode: "attempts_exhausted",
    fault: "none",
    maxRepeats: 1,
    message: "DashScope failed without a known cause",
    hint: retryLater,
  },
  /** A 5xx whose code belongs to a family that blames the request. */
  contradictory: {
    disposition: "retry",
    jobCode: "attempts_exhausted",
    fault: "none",
    maxRepeats: 1,
    message: "DashScope failed with a code that usually blames the request",
    hint: () => "Read upstream's own words in the attempt. If they blame the request, change it; else retry the job.",
  },
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
    message: "DashScope's answer was larger than any answer can be, and was not read to its end",
    hint: retryLater,
  },
  cut: {
    ...upstreamFault,
    mayBeBilled: true,
    message: "The connection to DashScope broke before its answer came",
    hint: lostAnswer,
  },
  unreadInput: {
    disposition: "retry",
    jobCode: "attempts_exhausted",
    fault: "none",
    message: "An uploaded image could not be read from storage while it was sent",
    counted: false,
    hint: () => "Nothing was billed. Retry the job; if it fails again, submit it anew with its images.",
  },
  unstored: {
    disposition: "retry",
    jobCode: "attempts_exhausted",
    fault: "none",
    mayBeBilled: true,
    message: "DashScope wrote the image into its answer, and storage did not take it",
    hint: () => "The image was billed and is lost. Retry the job to make a new one.",
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
    message: "DashScope does not know the task: it forgets tasks after 24 hours",
    hint: () => "Whether an image was made cannot be learned. A retry makes, and pays for, a new one.",
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
