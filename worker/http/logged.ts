import { OPERATOR_NAME } from "../../schemas/limits.ts";
import type { OperatorEntry } from "../../schemas/operator.ts";
import type { Asker } from "../auth/authenticate.ts";
import { operatorLogStub } from "../stubs.ts";
import { isByOperator } from "./access.ts";
import type { HttpContext } from "./context.ts";

/** Writes the action into the operator's log, then carries it out. A failure is logged as a further entry. */
export async function logged<Result>(
  c: HttpContext,
  entry: Omit<OperatorEntry, "seq" | "at" | "failed">,
  work: () => Promise<Result>,
): Promise<Result> {
  const written = { ...entry, failed: null };
  const log = operatorLogStub(c.env);
  // A reset of the log's object fails one call. There are two entries if the first call was carried out.
  await log.append(written).catch(() => log.append(written));
  try {
    return await work();
  } catch (error) {
    const failed = { ...written, failed: String(error).slice(0, 200) };
    await log.append(failed).catch(() => undefined);
    throw error;
  }
}

/** Places a job. The submission is logged when the operator submits for a client, by any of the APIs. */
export function loggedSubmission<Result>(
  c: HttpContext,
  entry: Pick<OperatorEntry, "target" | "details">,
  work: () => Promise<Result>,
): Promise<Result> {
  if (c.get("isOperatorsSubmission") !== true) return work();
  return logged(c, { ...entry, action: "job.submit", who: OPERATOR_NAME, reason: null }, work);
}

/** Carries out an action that clients may do too. It is logged when the operator does it. These routes take no reason. */
export function loggedOfOperator<Result>(
  c: HttpContext,
  asker: Asker,
  entry: Pick<OperatorEntry, "action" | "target" | "details">,
  work: () => Promise<Result>,
): Promise<Result> {
  return isByOperator(asker) ? logged(c, { ...entry, who: OPERATOR_NAME, reason: null }, work) : work();
}
