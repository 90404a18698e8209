/** Errors as the platform throws them, with the flags that say what may be done about them. */

interface PlatformError extends Error {
  remote?: boolean;
  retryable?: boolean;
  overloaded?: boolean;
  durableObjectReset?: boolean;
}

const platforms = new WeakSet<object>();

function made(message: string, flags: Partial<PlatformError>): Error {
  const error = Object.assign(new Error(message), flags);
  platforms.add(error);
  return error;
}

/** Whether the platform itself threw it, and not the product. */
export function isPlatformError(error: unknown): boolean {
  return typeof error === "object" && error !== null && platforms.has(error);
}

export const connectionLost = (): Error => made("Network connection lost.", { retryable: true });
export const objectReset = (): Error =>
  made("Durable Object reset because its code was updated.", { retryable: true, durableObjectReset: true });
export const overloaded = (): Error =>
  made("Durable Object is overloaded. Too many requests queued.", { overloaded: true });
export const storageGone = (): Error =>
  made("This Durable Object was replaced: its storage can no longer be accessed.", { durableObjectReset: true });
export const bucketFailed = (op: string): Error =>
  made(`${op}: We encountered an internal error. Please try again. (10001)`, {});

/** An error that a method threw, as its caller gets it: the name and the message, and that it came from elsewhere. */
export function remoteError(error: unknown): Error {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return Object.assign(new Error(message), { name, remote: true });
}
