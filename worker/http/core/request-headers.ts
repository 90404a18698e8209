/** Reads the request headers that say which answer is wanted. Pure. */
import Negotiator from "negotiator";
import { matches, opaqueTags } from "../../results/core/entity-tag.ts";

/** An `Accept` header that was read. `chosen`: what it prefers of each list of offers that was asked about. */
interface ReadAccept {
  readonly accept: string;
  readonly negotiator: Negotiator;
  readonly named: ReadonlySet<string>;
  readonly chosen: Map<string, string | undefined>;
}

/** The last header that was read. Nearly every client sends one of two or three, and each answer looks at it twice. */
let lastRead: ReadAccept | null = null;

function readAccept(accept: string): ReadAccept {
  if (lastRead?.accept === accept) return lastRead;
  // A media range's parameters other than quality (`; charset=utf-8`) select nothing among our offers.
  const ranges = accept.replaceAll(/;\s*(?!q=)[^,;]*/gi, "");
  const negotiator = new Negotiator({ headers: { accept: ranges } });
  const named = new Set(negotiator.mediaTypes().map((type) => type.toLowerCase()));
  lastRead = { accept, negotiator, named, chosen: new Map() };
  return lastRead;
}

/**
 * The offered media type that the client prefers (RFC 9110 12.5.1), the first offered among equals; null when it takes none
 * of them. An absent `Accept` takes anything.
 */
export function chooseType<Offer extends string>(accept: string | undefined, offers: readonly [Offer, ...Offer[]]) {
  if (accept === undefined || accept.trim() === "") return offers[0];
  const { chosen, negotiator } = readAccept(accept);
  const asked = offers.join();
  if (!chosen.has(asked)) chosen.set(asked, negotiator.mediaType([...offers]));
  return offers.find((offer) => offer === chosen.get(asked)) ?? null;
}

/** Whether `Accept` names exactly this media type, as programs do and people's tools do not. */
export function asksFor(accept: string | undefined, mediaType: string): boolean {
  if (accept === undefined || !accept.toLowerCase().includes(mediaType)) return false;
  return readAccept(accept).named.has(mediaType);
}

/** The longest wait. Proxies in between give up after 100 s. */
export const MAX_WAIT_SECONDS = 60;

/**
 * The `wait` of a `Prefer` header (RFC 7240) in seconds, at most `MAX_WAIT_SECONDS`; null when there is none or it cannot be
 * read, because a preference is never an error. The first of several counts.
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

export type IdempotencyKey =
  | { readonly ok: true; readonly key: string | null }
  | { readonly ok: false; readonly message: string };

const MAX_KEY_CHARS = 255;

/**
 * The key of an `Idempotency-Key` header: in quotes as the draft has it (a structured-field string), or without, as most
 * clients send it. Both name the same key. Two such headers arrive as one with a comma, so an unquoted key may hold none.
 */
export function readIdempotencyKey(header: string | undefined): IdempotencyKey {
  if (header === undefined) return { ok: true, key: null };
  const text = header.trim();
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(text)?.[1];
  if (quoted === undefined && text.includes(",")) {
    return { ok: false, message: "must be one key in one header; a key with a comma in it needs quotes" };
  }
  if (quoted === undefined && text.includes('"')) {
    return { ok: false, message: 'must be quoted on both sides, with \\" for a quote inside, or not at all' };
  }
  const key = quoted?.replace(/\\(["\\])/g, "$1") ?? text;
  if (key === "") return { ok: false, message: "must not be empty" };
  if (key.length > MAX_KEY_CHARS) return { ok: false, message: `must have ${MAX_KEY_CHARS} characters at most` };
  if (!/^[\x20-\x7e]+$/.test(key)) return { ok: false, message: "must be printable ASCII characters" };
  return { ok: true, key };
}

/** `version-traceid-parentid-flags`; a newer version may append parts. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * The `traceparent` of a request (W3C Trace Context), as version 00 writes it; null when there is none. An invalid one is
 * ignored, as the standard asks: tracing is never a reason to refuse a request.
 */
export function readTraceparent(header: string | undefined): string | null {
  const [, version, traceId = "", parentId = "", flags, more] = TRACEPARENT.exec(header?.trim() ?? "") ?? [];
  const isKnown = version === "00" ? more === undefined : version !== undefined && version !== "ff";
  if (!isKnown || /^0+$/.test(traceId) || /^0+$/.test(parentId)) return null;
  return `00-${traceId}-${parentId}-${flags}`;
}

/**
 * The version of one form of a job. It is weak, because the same job indented for people has other bytes and the same
 * meaning. `epoch` is that of the signed links in it.
 */
export function jobEtag(tag: string, epoch: string, form: "json" | "text"): string {
  return `W/"${tag}.${epoch}.${form === "json" ? "j" : "t"}"`;
}

/** Whether `If-None-Match` names this version: RFC 9110's weak comparison. */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  return ifNoneMatch !== undefined && matches(ifNoneMatch, etag);
}

/**
 * The tag of the job that the client has, to wait until it changes; null when no tag that it sent can be current. `shown`: the rest
 * of the form's version as it is now, which follows the job's tag.
 */
export function tagToWaitOn(
  ifNoneMatch: string | undefined,
  epoch: string,
  form: "json" | "text",
  shown = "",
): string | null {
  const end = `${shown}.${epoch}.${form === "json" ? "j" : "t"}`;
  const known = opaqueTags(ifNoneMatch ?? "").find((tag) => tag.endsWith(end));
  return known === undefined ? null : known.slice(0, -end.length);
}
