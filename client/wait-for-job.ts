import { Job } from "../schemas/job.ts";
import { callApi, parseAnswer } from "./api-call.ts";
import type { Settings } from "./client-options.ts";
import { isPassing } from "./errors.ts";
import { pause } from "./pause.ts";
import { retryAfterMs } from "./retry-after.ts";
import { jobPath } from "./watch-job.ts";

/** The job once it is done. Goes on through outages of any length; throws a refusal, or the signal's reason. */
export async function waitForJob(settings: Settings, id: string, signal: AbortSignal | undefined): Promise<Job> {
  const { pollWaitSeconds, pollEveryMs, callTimeoutMs } = settings.timing;
  for (;;) {
    const askedAtMs = Date.now();
    try {
      const answer = await callApi(settings, {
        method: "GET",
        path: jobPath(id),
        headers: { Prefer: `wait=${pollWaitSeconds}` },
        jobId: id,
        timeoutMs: callTimeoutMs + pollWaitSeconds * 1000,
        signal,
      });
      const job = parseAnswer(answer, Job);
      if (job.done) return job;
      const heldMs = Date.now() - askedAtMs;
      const hintMs = retryAfterMs(answer.headers.get("retry-after"), Date.now()) ?? pollEveryMs;
      // A server that held the answer may be asked again at once; one that did not has said when.
      if (heldMs < pollEveryMs) await pause(Math.min(hintMs, pollWaitSeconds * 1000), signal);
    } catch (error) {
      if (!isPassing(error)) throw error;
      await pause(pollEveryMs * (1 + Math.random()), signal);
    }
  }
}
