/**
 * The version of one form of a job. Weak: the same job indented for people has other bytes and the same meaning. `epoch` is
 * that of the signed links in it.
 */
export function jobEtag(tag: string, epoch: string, form: "json" | "text"): string {
  return `W/"${tag}.${epoch}.${form === "json" ? "j" : "t"}"`;
}

/** The opaque parts of the entity tags in an `If-None-Match` list, weak or strong alike; `*` stands for itself. */
function opaqueTags(header: string): string[] {
  if (header.trim() === "*") return ["*"];
  return [...header.matchAll(/(?:W\/)?"([^"]*)"/g)].map((match) => match[1] ?? "");
}

/** Whether `If-None-Match` names this version: RFC 9110's weak comparison. */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const [current] = opaqueTags(etag);
  return opaqueTags(ifNoneMatch).some((tag) => tag === "*" || tag === current);
}

/** The job's own tag that the client has, to wait until it is another; null when nothing it has could still be current. */
export function tagToWaitOn(ifNoneMatch: string | undefined, epoch: string, form: "json" | "text"): string | null {
  const end = `.${epoch}.${form === "json" ? "j" : "t"}`;
  const known = opaqueTags(ifNoneMatch ?? "").find((tag) => tag.endsWith(end));
  return known === undefined ? null : known.slice(0, -end.length);
}
