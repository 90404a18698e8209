/**
 * A `Retry-After` header as a delay from `nowMs`, in ms and never negative. Takes whole seconds or an HTTP date (RFC 9110,
 * 10.2.3); `null` when the header is absent or neither.
 */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Date.parse takes far more than HTTP dates ("-1" is a year to it), so only what starts with a day's name is asked.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return null;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}
