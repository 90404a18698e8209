/** Entity tags of immutable things: the content's own checksum, or that of what it is made from and how. Pure. */

export function entityTag(version: string): string {
  return `"${version}"`;
}

/** Whether an `If-Match` holds the tag or `*`; compared strongly, so that a weak one never does. */
export function holds(ifMatch: string, tag: string): boolean {
  return ifMatch.split(",").some((item) => item.trim() === "*" || item.trim() === tag);
}

/** The opaque parts of the tags in an `If-None-Match`, weak or strong alike; `*` stands for itself. */
export function opaqueTags(header: string): string[] {
  if (header.trim() === "*") return ["*"];
  return [...header.matchAll(/(?:W\/)?"([^"]*)"/g)].map((match) => match[1] ?? "");
}

/** Whether an `If-None-Match` holds the tag or `*`; compared weakly, as RFC 9110 says for it. */
export function matches(ifNoneMatch: string, tag: string): boolean {
  const [current] = opaqueTags(tag);
  return opaqueTags(ifNoneMatch).some((given) => given === "*" || given === current);
}
