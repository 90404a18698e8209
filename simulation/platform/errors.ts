/** The platform's errors, with the flags that tell a caller what to do. */

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

/** Whether the platform threw the error, not the product. */
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

/** A method's error as its caller gets it: name, message, and a mark that it is remote. */
export function remoteError(error: unknown): Error {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return Object.assign(new Error(message), { name, remote: true });
}
