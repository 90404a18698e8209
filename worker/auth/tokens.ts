import { timingSafeEqual } from "node:crypto";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { Config } from "../env.ts";

/** The owner of a token. Its sessions are bound to `tokenHash`. */
export type TokenOwner =
  | { readonly role: "client"; readonly client: string; readonly tokenHash: string }
  | { readonly role: "operator"; readonly tokenHash: string };

type TokenConfig = Pick<Config, "clientTokens" | "adminTokenSha256">;

const utf8 = new TextEncoder();

export function sha256Hex(text: string): string {
  return bytesToHex(sha256(utf8.encode(text)));
}

interface KnownOwner {
  readonly owner: TokenOwner;
  readonly digest: Buffer;
}

const knownOwners = new WeakMap<TokenConfig, readonly KnownOwner[]>();

/** Every owner, once for each of its tokens. Read from the settings once. */
function ownersOf(config: TokenConfig): readonly KnownOwner[] {
  const known = knownOwners.get(config);
  if (known !== undefined) return known;
  const owners: TokenOwner[] = Object.entries(config.clientTokens).flatMap(([client, hashes]) =>
    hashes.map((tokenHash) => ({ role: "client" as const, client, tokenHash })),
  );
  if (config.adminTokenSha256 !== null) owners.unshift({ role: "operator", tokenHash: config.adminTokenSha256 });
  const read = owners.map((owner) => ({ owner, digest: Buffer.from(owner.tokenHash, "hex") }));
  knownOwners.set(config, read);
  return read;
}

/** The owner of a token, null when no client has it. Compares every hash, so the time does not depend on the token. */
export function ownerOf(config: TokenConfig, token: string): TokenOwner | null {
  // SHA-256 in JavaScript: node:crypto builds a stream for it, which was 6 % of a poll (docs/performance.md).
  const given = sha256(utf8.encode(token));
  let found: TokenOwner | null = null;
  for (const { owner, digest } of ownersOf(config)) {
    // Both have the length of SHA-256: `CLIENT_TOKENS` accepts nothing else.
    if (timingSafeEqual(digest, given) && found === null) found = owner;
  }
  return found;
}

/** Whether this owner's token is still in the settings. A session is valid only while it is. */
export function stillOwns(config: TokenConfig, client: string | null, tokenMark: string): boolean {
  for (const { owner } of ownersOf(config)) {
    if ((owner.role === "operator" ? null : owner.client) === client && markOf(owner.tokenHash) === tokenMark)
      return true;
  }
  return false;
}

/** Identifies a token in a session without revealing its hash. */
export function markOf(tokenHash: string): string {
  return sha256Hex(`session of ${tokenHash}`).slice(0, 16);
}
