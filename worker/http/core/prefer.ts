/** Longest wait; below the 100 s after which proxies in between give up. */
export const MAX_WAIT_SECONDS = 60;

/**
 * The `wait` of a `Prefer` header (RFC 7240) in seconds, at most `MAX_WAIT_SECONDS`; null when there is none or it cannot be
 * read: a preference is never an error. The first of several counts.
 */
export function preferredWaitSeconds(prefer: string | undefined): number | null {
  for (const preference of prefer?.split(",") ?? []) {
    const [name, value] = (preference.split(";")[0] ?? "").split("=").map((part) => part.trim());
    if (name?.toLowerCase() !== "wait") continue;
    const digits = /^"?(\d{1,9})"?$/.exec(value ?? "")?.[1];
    return digits === undefined ? null : Math.min(Number(digits), MAX_WAIT_SECONDS);
  }
  return null;
}
