import ipaddr from "ipaddr.js";

/** Where a host name leads: `public` is the only kind that a machine elsewhere can reach. */
export type HostKind = "public" | "loopback" | "private address" | "local name";

/**
 * Names that public DNS never answers: RFC 6762 (`local`), RFC 8375 (`home.arpa`), RFC 6761 (`invalid`, `test`), RFC 7686
 * (`onion`), ICANN (`internal`, `corp`, `home`), and habits of home and office routers.
 */
const LOCAL_SUFFIXES = [
  "local",
  "internal",
  "home.arpa",
  "invalid",
  "test",
  "onion",
  "corp",
  "home",
  "localdomain",
  "lan",
  "intranet",
  "private",
] as const;

/** Ranges that carry an IPv4 address inside an IPv6 one, which decides. */
const EMBEDDED = new Set(["ipv4Mapped", "rfc6145", "rfc6052", "6to4", "teredo"]);

function addressKind(address: ipaddr.IPv4 | ipaddr.IPv6): HostKind {
  const range = address.range();
  if (range === "loopback") return "loopback";
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress()) return addressKind(address.toIPv4Address());
  // Translated addresses (NAT64, 6to4, Teredo) reach an IPv4 host of any kind by a gateway, so none of them is public here.
  return range === "unicast" && !EMBEDDED.has(range) ? "public" : "private address";
}

/**
 * What kind of host a URL names. `hostname` is that of a parsed `URL`, which has turned integer, hexadecimal and octal forms of
 * IPv4 into dotted decimals, and names into lower-case ASCII. A name is judged by itself: what it resolves to is not looked up.
 */
export function hostKind(hostname: string): HostKind {
  const name = hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  if (ipaddr.isValid(name)) return addressKind(ipaddr.parse(name));
  if (name === "localhost" || name.endsWith(".localhost")) return "loopback";
  // Labels of public names are not empty: `a.local..` would pass for one although it ends like none of the suffixes.
  const isLocal =
    name.split(".").includes("") ||
    !name.includes(".") ||
    LOCAL_SUFFIXES.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
  return isLocal ? "local name" : "public";
}

/** Whether the host is an address and not a name. */
export function isAddress(hostname: string): boolean {
  return ipaddr.isValid(hostname.replace(/^\[|\]$/g, ""));
}
