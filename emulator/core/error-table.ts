/** The vendor's error page as data: the status and the usual message of every code that an image call can get. */

/** A failed call before it has a request id. */
export interface WireRefusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

const INTERNAL = "An internal error has occured, try again later or contact service support.";
const RATE = "Requests rate limit exceeded, please try again later.";
const NOT_ENTITLED = "Access to model denied. Please make sure you are eligible for using the model.";
const BILL_OVERDUE = "The bill of your account is overdue.";

/** Code → status and message, most of them word for word from the vendor's page ("occured" is theirs). */
const TABLE: Readonly<Record<string, readonly [status: number, message: string]>> = {
  InvalidParameter: [400, "Request parameter is invalid, please check the request parameters."],
  "BadRequest.EmptyInput": [400, "Required input parameter missing from request."],
  "BadRequest.EmptyParameters": [400, "Required parameter missing from request."],
  "BadRequest.EmptyModel": [400, "Required model parameter missing from request."],
  "BadRequest.IllegalInput": [400, "The input parameter requires json format."],
  "BadRequest.TooLarge": [400, "Payload Too Large."],
  "BadRequest.InputDownloadFailed": [400, "Failed to download the input file."],
  InvalidURL: [400, "Required URL is missing or invalid, please check the request URL."],
  "InvalidURL.Timeout": [400, "Timed out while downloading the input file."],
  "InvalidURL.ConnectionRefused": [400, "Connection refused while downloading the input file."],
  "InvalidParameter.DataInspection": [400, "Unable to download the media resource during the data inspection process."],
  "InvalidImage.FileFormat": [400, "Invalid image type. Please ensure the uploaded file is a valid image."],
  InvalidImageFormat: [400, "The image format is not supported."],
  InvalidImageResolution: [400, "The image resolution is invalid."],
  DataInspectionFailed: [400, "Input data may contain inappropriate content."],
  IPInfringementSuspect: [400, "Input data is suspected of being involved in IP infringement."],
  CustomRoleBlocked: [400, "Input or output data may contain inappropriate content with custom rule."],
  FaqRuleBlocked: [400, "Input or output data is blocked by faq rule."],
  Arrearage: [400, "Access denied, please make sure your account is in good standing."],
  UnsupportedOperation: [400, "Failed to cancel the task, please confirm if the task is in PENDING status."],
  InvalidApiKey: [401, "Invalid API-key provided."],
  "NOT AUTHORIZED": [401, "Workspace or endpoint is not authorized."],
  AccessDenied: [403, "Access denied."],
  "AccessDenied.Unpurchased": [403, "Access to model denied. Please make sure you have purchased the service."],
  "Model.AccessDenied": [403, NOT_ENTITLED],
  "Workspace.AccessDenied": [403, "Workspace access denied."],
  "App.AccessDenied": [403, "App access denied."],
  "AllocationQuota.Exceeded": [403, "Free allocated quota exceeded."],
  "AllocationQuota.FreeTierOnly": [403, "The free tier of the model has been exhausted."],
  ModelNotFound: [404, "Model can not be found."],
  WorkSpaceNotFound: [404, "WorkSpace can not be found."],
  NotFound: [404, "Not Found."],
  "Throttling.RateQuota": [429, RATE],
  "Throttling.BurstRate": [429, "Request rate increased too quickly. To ensure system stability, please slow down."],
  Throttling: [429, "Requests throttling triggered."],
  "Throttling.AllocationQuota": [429, "Allocated quota exceeded, please increase your quota limit."],
  CommodityNotPurchased: [429, "Commodity has not purchased yet."],
  PrepaidBillOverdue: [429, BILL_OVERDUE],
  PostpaidBillOverdue: [429, BILL_OVERDUE],
  InternalError: [500, INTERNAL],
  "InternalError.Algo": [500, INTERNAL],
  // The model's complaint about an input, seen with 400 in public issues.
  "InternalError.Algo.InvalidParameter": [400, "The image length and width do not meet the model restrictions."],
  "InternalError.Algo.DataInspectionFailed": [400, "Input data may contain inappropriate content."],
  "InternalError.FileUpload": [500, INTERNAL],
  "InternalError.Upload": [500, INTERNAL],
  "InternalError.Timeout": [500, "An internal timeout error has occured during execution, please try again later."],
  SystemError: [500, "An system error has occured, please try again later."],
  ModelServiceFailed: [500, "Failed to request model service."],
  RewriteFailed: [500, "Failed to rewrite content for prompt."],
  RequestTimeOut: [500, "Request timed out, try again later."],
  ModelServingError: [
    503,
    "Too many requests. Your requests are being throttled due to system capacity limits. Please try again later.",
  ],
  ModelUnavailable: [503, "Model is unavailable, try again later."],
};

/** Every code of the table. */
export const ERROR_CODES: readonly string[] = Object.keys(TABLE);

/** The vendor's message for a moderated result. A moderated prompt has another one. */
export const OUTPUT_MODERATED = "Output data may contain inappropriate content.";

/** The live API's message for an unknown model (2026-08). */
export const NO_SUCH_MODEL = "Model not exist.";

/** The answer for a code. `status` and `message` override the table. A code without a row is a 500. */
export function refusalOf(code: string, message?: string, status?: number): WireRefusal {
  const [usualStatus, usualMessage] = TABLE[code] ?? [500, INTERNAL];
  return { status: status ?? usualStatus, code, message: message ?? usualMessage };
}
