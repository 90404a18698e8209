/** Which addresses webhooks are sent to. Checked at submit and again before each try. Pure. */
import { MAX_WEBHOOK_URL_CHARS } from "../../../schemas/webhook.ts";
import { hostKind, isAddress } from "../../public-host.ts";

/** The client's address in CLIENT_WEBHOOKS; undefined without one. A client may have the name of a property that every object has. */
export function webhookUrlOf(
  { clientWebhooks }: { readonly clientWebhooks: Readonly<Record<string, string>> },
  client: string,
): string | undefined {
  return Object.hasOwn(clientWebhooks, client) ? clientWebhooks[client] : undefined;
}

export interface TargetRules {
  /** Origins of this service, which receives no webhooks. */
  readonly ownOrigins: readonly string[];
  /** Open mode: http addresses of this machine are allowed, on any port. */
  readonly allowLoopback: boolean;
}

/** What is wrong with the address, in words that complete "url …"; null for one that may be sent to. */
export function targetFault(text: string, { ownOrigins, allowLoopback }: TargetRules): string | null {
  const url = text.length > MAX_WEBHOOK_URL_CHARS ? null : URL.parse(text);
  if (url === null) return `must be an https address of ${MAX_WEBHOOK_URL_CHARS} characters at most`;
  if (url.username !== "" || url.password !== "") return "must not hold a user name or password";
  if (ownOrigins.some((own) => isSameHost(url, own))) return "must not be an address of this service";
  const kind = hostKind(url.hostname);
  if (kind === "loopback" && allowLoopback && url.protocol === "http:") return null;
  if (url.protocol !== "https:") return "must begin with https://";
  if (url.port !== "") return "must use port 443";
  if (isAddress(url.hostname)) return "must name its host, not give an IP address";
  if (kind !== "public") return "must have a public host name: it is reached over the Internet";
  return null;
}

/** On a public name any port is the same service; on this machine each port is another one. */
function isSameHost(url: URL, origin: string): boolean {
  const own = URL.parse(origin);
  if (own === null) return false;
  const plain = (hostname: string) => hostname.replace(/\.$/, "");
  if (hostKind(own.hostname) === "loopback") return hostKind(url.hostname) === "loopback" && url.port === own.port;
  return plain(url.hostname) === plain(own.hostname);
}
