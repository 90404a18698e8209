/** The platform's bound on a stored value, in bytes. */
const MAX_VALUE_BYTES = 2 * 1024 * 1024;

/**
 * A structured clone of a value that crosses between objects or into storage: plain data fast, anything else by the runtime.
 * Functions and class instances throw, as they do on the platform.
 */
export function cloned<Value>(value: Value): Value {
  return copy(value) as Value;
}

function copy(value: unknown): unknown {
  if (typeof value !== "object" || value === null) {
    if (typeof value === "function" || typeof value === "symbol") throw notCloneable(value);
    return value;
  }
  if (Array.isArray(value)) return value.map(copy);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    const made: Record<string, unknown> = {};
    for (const key in value) if (Object.hasOwn(value, key)) made[key] = copy((value as Record<string, unknown>)[key]);
    return made;
  }
  if (value instanceof Map || value instanceof Set || value instanceof Date || value instanceof Error) {
    return structuredClone(value);
  }
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return structuredClone(value);
  throw notCloneable(value);
}

function notCloneable(value: unknown): DOMException {
  return new DOMException(`${String(value)} could not be cloned.`, "DataCloneError");
}

/** Throws as storage does for a value that is too large. The size is estimated a few per cent low. */
export function checkStorable(value: unknown): void {
  const bytes = sizeOf(value);
  if (bytes > MAX_VALUE_BYTES)
    throw new RangeError(`Values cannot be larger than ${MAX_VALUE_BYTES} bytes; got ${bytes}`);
}

function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length + 5;
  if (typeof value !== "object" || value === null) return 9;
  if (Array.isArray(value)) return value.reduce((sum: number, each) => sum + sizeOf(each), 8);
  if (ArrayBuffer.isView(value)) return value.byteLength + 8;
  let bytes = 8;
  for (const key in value) bytes += key.length + 5 + sizeOf((value as Record<string, unknown>)[key]);
  return bytes;
}
