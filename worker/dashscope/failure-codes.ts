/** Which failure rule a code or a status means. Pure data. */
import { type FailureRule, RULES } from "./failure-rules.ts";

/** By exact code, in lower case. */
export const CODES: ReadonlyMap<string, FailureRule> = new Map(
  (
    [
      [RULES.invalidRequest, ["InvalidParameter", "UnsupportedOperation"]],
      [RULES.tooLargeRequest, ["BadRequest.TooLarge"]],
      [RULES.imageUnreachable, ["BadRequest.InputDownloadFailed", "InvalidURL", "InvalidParameter.DataInspection"]],
      [RULES.invalidImage, ["InvalidImageFormat", "InvalidImageResolution"]],
      [RULES.contentRejected, ["DataInspectionFailed", "IPInfringementSuspect", "CustomRoleBlocked", "FaqRuleBlocked"]],
      [RULES.arrears, ["Arrearage", "CommodityNotPurchased", "PrepaidBillOverdue", "PostpaidBillOverdue"]],
      [RULES.badKey, ["InvalidApiKey", "NOT AUTHORIZED"]],
      [RULES.accessDenied, ["AccessDenied"]],
      [RULES.notEntitled, ["Model.AccessDenied", "Workspace.AccessDenied", "App.AccessDenied"]],
      [RULES.freeTierSpent, ["AllocationQuota.FreeTierOnly"]],
      [RULES.modelUnavailable, ["ModelNotFound", "NotFound"]],
      [RULES.noWorkspace, ["WorkSpaceNotFound"]],
      [RULES.throttled, ["Throttling"]],
      [RULES.allocationSpent, ["Throttling.AllocationQuota"]],
      [RULES.internal, ["InternalError", "SystemError", "ModelServiceFailed", "RewriteFailed"]],
      [RULES.timedOutThere, ["InternalError.Timeout", "RequestTimeOut"]],
      [RULES.overloaded, ["ModelServingError", "ModelUnavailable"]],
    ] satisfies [FailureRule, string[]][]
  ).flatMap(([rule, codes]) => codes.map((code): [string, FailureRule] => [code.toLowerCase(), rule])),
);

/** By the start of a code, in lower case; codes come in families that grow. */
export const PREFIXES: readonly (readonly [string, FailureRule])[] = [
  ["badrequest.", RULES.invalidRequest],
  ["invalidparameter.", RULES.invalidRequest],
  ["invalidurl.", RULES.imageUnreachable],
  ["invalidimage.", RULES.invalidImage],
  ["invalidfile.", RULES.invalidImage],
  ["datainspectionfailed.", RULES.contentRejected],
  ["accessdenied.", RULES.notEntitled],
  ["throttling.", RULES.throttled],
  ["internalerror.", RULES.internal],
];

/** Pages of Cloudflare's own for an origin it could not connect to (refused, timed out, unreachable, TLS, DNS): nothing was sent. */
const NOT_SENT_STATUSES: readonly number[] = [521, 522, 523, 525, 526, 530];

/** For a code that is not in the table, or none (an HTML page, an empty body). */
export function ruleForStatus(httpStatus: number | null, code: string | null): FailureRule {
  const status = httpStatus ?? 0;
  if (status === 400 || status === 422) return RULES.invalidRequest;
  if (status === 401) return RULES.badKey;
  if (status === 402) return RULES.arrears;
  if (status === 403) return RULES.accessDenied;
  if (status === 404) return code === null ? RULES.wrongHost : RULES.modelUnavailable;
  if (status === 405) return RULES.wrongHost;
  if (status === 408) return RULES.timedOutThere;
  if (status === 413) return RULES.tooLargeRequest;
  if (status === 429) return RULES.throttled;
  if (status >= 400 && status < 500) return RULES.rejected;
  if (code === null && NOT_SENT_STATUSES.includes(status)) return RULES.notSent;
  if (status >= 500) return code === null ? RULES.gateway : RULES.internal;
  return RULES.unexplained;
}
