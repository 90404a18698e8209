import { createHash, timingSafeEqual } from "node:crypto";
import type { Config } from "../env.ts";

/** Who a token belongs to; `tokenHash` is what its sessions are bound to. */
export type TokenOwner =
  | { readonly role: "client"; readonly client: string; readonly tokenHash: string }
  | { readonly role: "operator"; readonly tokenHash: string };

type TokenConfig = Pick<Config, "clientTokens" | "adminTokenSha256">;

export function sha256Hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a, "hex"), Buffer.from(b, "hex")];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Every owner there is, with each of its tokens. */
function* owners(config: TokenConfig): Generator<TokenOwner> {
  if (config.adminTokenSha256 !== null) yield { role: "operator", tokenHash: config.adminTokenSha256 };
  for (const [client, hashes] of Object.entries(config.clientTokens)) {
    for (const tokenHash of hashes) yield { role: "client", client, tokenHash };
  }
}

/** The owner of a token, null when nobody's. Looks at every hash, whichever it is, in the same time. */
export function ownerOf(config: TokenConfig, token: string): TokenOwner | null {
  const hash = sha256Hex(token);
  let found: TokenOwner | null = null;
  for (const owner of owners(config)) {
    if (sameHash(owner.tokenHash, hash) && found === null) found = owner;
  }
  return found;
}

/** Whether this owner's token is still one of the settings': what a session lives on. */
export function stillOwns(config: TokenConfig, client: string | null, tokenMark: string): boolean {
  for (const owner of owners(config)) {
    if ((owner.role === "operator" ? null : owner.client) === client && markOf(owner.tokenHash) === tokenMark)
      return true;
  }
  return false;
}

/** Names a token in a session without telling its hash. */
export function markOf(tokenHash: string): string {
  return sha256Hex(`session of ${tokenHash}`).slice(0, 16);
}
