/** Entity tags of immutable things: the content's own checksum, or that of what it is made from and how. Pure. */

export function entityTag(version: string): string {
  return `"${version}"`;
}

/** Whether an `If-Match` holds the tag or `*`; compared strongly, so that a weak one never does. */
export function holds(ifMatch: string, tag: string): boolean {
  return ifMatch.split(",").some((item) => item.trim() === "*" || item.trim() === tag);
}

/** Whether an `If-None-Match` holds the tag or `*`; compared weakly, as RFC 9110 says for it. */
export function matches(ifNoneMatch: string, tag: string): boolean {
  return ifNoneMatch
    .split(",")
    .map((item) => item.trim().replace(/^W\//, ""))
    .some((item) => item === "*" || item === tag);
}
