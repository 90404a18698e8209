/** Entity tags of immutable content: its own checksum, or its source's checksum and how it was made. Pure. */

export function entityTag(version: string): string {
  return `"${version}"`;
}

/** Whether an `If-Match` holds the tag or `*`. Compared strongly, so that a weak tag never matches. */
export function holds(ifMatch: string, tag: string): boolean {
  return ifMatch.split(",").some((item) => item.trim() === "*" || item.trim() === tag);
}

/** The opaque parts of the tags in an `If-None-Match`, weak or strong alike; a `*` is returned as `*`. */
export function opaqueTags(header: string): string[] {
  if (header.trim() === "*") return ["*"];
  return [...header.matchAll(/(?:W\/)?"([^"]*)"/g)].map((match) => match[1] ?? "");
}

/** Whether an `If-None-Match` holds the tag or `*`. Compared weakly, as RFC 9110 requires. */
export function matches(ifNoneMatch: string, tag: string): boolean {
  const [current] = opaqueTags(tag);
  return opaqueTags(ifNoneMatch).some((given) => given === "*" || given === current);
}
