import type { HttpContext } from "./http-env.ts";
import { ProblemError } from "./problem.ts";

/** The limiter hears of every so many submissions of a client: what it costs, it costs once for all of them. */
export const COUNTED_AT_ONCE = 10;
/** `[[ratelimits]]` in wrangler.toml, times `COUNTED_AT_ONCE`; a test compares. */
export const SUBMIT_LIMIT = { submissions: 600, periodSeconds: 60 } as const;

/** Client → its submissions that this isolate has not told the limiter of yet. */
const uncounted = new Map<string, number>();

/** Client → when its window ends, for clients that the limiter has refused. Of this isolate; the limiter itself is shared. */
const brakedUntilMs = new Map<string, number>();

/**
 * Refuses a client that submits too fast. The limiter counts beside the submission and not before it: it is a brake, not a
 * book-keeper, and the few submissions too many that it notices late cost less than a wait in every one.
 */
export function brakeSubmissions(c: HttpContext, client: string): void {
  const { authMode, publicOpenModeAllowed } = c.get("config");
  // On one's own machine there is nobody to protect.
  if (authMode === "open" && !publicOpenModeAllowed) return;
  const { submissions, periodSeconds } = SUBMIT_LIMIT;
  const nowMs = Date.now();
  const untilMs = brakedUntilMs.get(client);
  if (untilMs !== undefined && nowMs < untilMs) {
    const waitSeconds = Math.ceil((untilMs - nowMs) / 1000);
    throw new ProblemError(
      "rate_limited",
      `At most ${submissions} submissions in ${periodSeconds} s; go on in ${waitSeconds} s.`,
      {
        headers: {
          "Retry-After": String(waitSeconds),
          "RateLimit-Policy": `"submit";q=${submissions};w=${periodSeconds}`,
          RateLimit: `"submit";r=0;t=${waitSeconds}`,
        },
      },
    );
  }
  if (untilMs !== undefined) brakedUntilMs.delete(client);
  const sinceCounted = (uncounted.get(client) ?? 0) + 1;
  uncounted.set(client, sinceCounted % COUNTED_AT_ONCE);
  if (sinceCounted < COUNTED_AT_ONCE) return;
  const counted = c.env.SUBMIT_LIMITER.limit({ key: client }).then(({ success }) => {
    // The limiter's windows are whole minutes of the clock.
    const periodMs = periodSeconds * 1000;
    if (!success) brakedUntilMs.set(client, (Math.floor(nowMs / periodMs) + 1) * periodMs);
  });
  c.executionCtx.waitUntil(
    counted.catch((error: unknown) => console.error({ event: "submit_limiter_failed", error: String(error) })),
  );
}
