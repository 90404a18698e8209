/** What a client's text for an input image may be: an address that upstream can fetch, or a link of our own. Pure. */
import { JOB_ID_PATTERN } from "../../../schemas/paths.ts";
import { givenWords } from "../../allowed-words.ts";
import { hostKind } from "../../public-host.ts";

/** The longest address that is passed on. Browsers and servers accept no longer ones. */
const MAX_URL_CHARS = 4096;

/** A stored image of a job: `/api/jobs/:id/images/:index`, or `/api/jobs/:id/inputs/:index` for one that the job was given. */
export interface OwnImage {
  readonly jobId: string;
  readonly kind: "images" | "inputs";
  readonly index: number;
}

export type ParsedAddress =
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "own"; readonly image: OwnImage }
  | { readonly kind: "wrong"; readonly message: string };

export interface AddressRules {
  /** Our own origins: links that start with one of them are images of ours. */
  readonly ownOrigins: readonly string[];
  /** True when upstream runs on this machine (the emulator), and so can fetch what this machine serves. */
  readonly allowLoopback: boolean;
}

const HOST_WORDS = {
  loopback: "machine's own address",
  "private address": "private or reserved address",
  "local name": "name of a local network",
} as const;

function ownImageOf(pathname: string): OwnImage | null {
  const match = /^\/api\/jobs\/([^/]+)\/(images|inputs)\/(0|[1-9]\d{0,3})$/.exec(pathname);
  const [, jobId = "", kind, index] = match ?? [];
  if (match === null || !JOB_ID_PATTERN.test(jobId)) return null;
  return { jobId, kind: kind as OwnImage["kind"], index: Number(index) };
}

/** Reads the text of an input image. A data URL in base64 never comes here: its bytes are taken out of the body before. */
export function parseImageAddress(source: string, { ownOrigins, allowLoopback }: AddressRules): ParsedAddress {
  const wrong = (message: string): ParsedAddress => ({ kind: "wrong", message });
  if (/^data:/i.test(source)) return wrong("must be a data URL in base64, like data:image/png;base64,iVBOR…");
  const url = source.length > MAX_URL_CHARS ? null : URL.parse(source);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return wrong(
      `must be an http(s) address of ${MAX_URL_CHARS} characters at most, or a data URL; got ${givenWords(source, 0)}`,
    );
  }
  if (url.username !== "" || url.password !== "") return wrong("must not hold credentials");
  if (ownOrigins.includes(url.origin)) {
    const image = ownImageOf(url.pathname);
    return image === null ? wrong("is an address of this service, but not of an image in it") : { kind: "own", image };
  }
  const kind = hostKind(url.hostname);
  if (kind !== "public" && !(kind === "loopback" && allowLoopback)) {
    return wrong(`must be a public address: upstream cannot fetch from a ${HOST_WORDS[kind]}`);
  }
  return { kind: "url", url: url.href };
}
