import type { Health } from "../../schemas/limits.ts";
import { isMisconfigured, isSignedOut } from "../state/failure-words.ts";
import { CLIENT_NAME, forgetPrivate, readStored, writeStored } from "./browser-storage.ts";
import { darkroom } from "./darkroom.ts";
import { learnServerTime } from "./server-clock.ts";
import { createStore } from "./store.ts";

/** What stands between a person and the page. */
export type Access =
  | { readonly kind: "asking" }
  | { readonly kind: "unreachable" }
  | { readonly kind: "misconfigured"; readonly health: Health }
  | { readonly kind: "signed_out"; readonly health: Health }
  | { readonly kind: "open"; readonly health: Health };

export const access = createStore<Access>({ kind: "asking" });

/** Asks the server whether all is well, and whether this browser is signed in. Never rejects. */
export async function checkAccess(): Promise<void> {
  try {
    const askedAtMs = Date.now();
    const health = await darkroom.health();
    learnServerTime(health.time, askedAtMs, Date.now());
    if (health.status === "misconfigured") {
      access.set({ kind: "misconfigured", health });
      return;
    }
    const signedIn = health.authMode === "open" || (await isSignedIn());
    access.set({ kind: signedIn ? "open" : "signed_out", health });
  } catch {
    // An open page stays: the lamp tells that the server is away, and what was shown is still of use.
    if (access.get().kind !== "open") access.set({ kind: "unreachable" });
  }
}

async function isSignedIn(): Promise<boolean> {
  try {
    await darkroom.list({ limit: 1 });
    return true;
  } catch (error) {
    if (isSignedOut(error)) return false;
    throw error;
  }
}

/** Opens a session and begins anew with it: nothing that another client saw may show. Rejects when the token is refused. */
export async function signIn(token: string): Promise<void> {
  const { client } = await darkroom.signIn(token);
  if (readStored(CLIENT_NAME) !== client) await forgetPrivate();
  writeStored(CLIENT_NAME, client);
  location.reload();
}

/** Ends the session and leaves nothing of its client in this browser. Rejects when the server could not be told. */
export async function signOut(): Promise<void> {
  await darkroom.signOut();
  await forgetPrivate();
  writeStored(CLIENT_NAME, null);
  location.assign("/");
}

// Another tab changed the session: what this one shows, and would send, is another client's.
addEventListener("storage", ({ key }) => {
  if (key === CLIENT_NAME) location.reload();
});

/**
 * Whether the gate is shut after a call that failed for the lack of a session or of a configuration: the server is asked again.
 * When it was mended meanwhile, or cannot be asked, the page stays open, and whoever follows something must go on. Never rejects.
 */
export async function isShutOut(error: unknown): Promise<boolean> {
  if (!isSignedOut(error) && !isMisconfigured(error)) return false;
  await checkAccess();
  return access.get().kind !== "open";
}
