import type { Health, Identity } from "../../schemas/limits.ts";
import { isMisconfigured, isSignedOut } from "../state/failure-words.ts";
import { CLIENT_NAME, forgetTab, forgetWritten, readStored, writeStored } from "./browser-storage.ts";
import { darkroom } from "./darkroom.ts";
import { forgetFiles } from "./file-store.ts";
import { learnServerTime } from "./server-clock.ts";
import { createStore, useStore } from "./store.ts";

/** Whether the page can be used, and if not, why. */
export type Access =
  | { readonly kind: "asking" }
  | { readonly kind: "unreachable" }
  | { readonly kind: "misconfigured"; readonly health: Health }
  | { readonly kind: "signed_out"; readonly health: Health }
  | { readonly kind: "open"; readonly health: Health; readonly identity: Identity };

export const access = createStore<Access>({ kind: "asking" });

/** Who uses the page; null while that is not known. */
export function useIdentity(): Identity | null {
  const gate = useStore(access);
  return gate.kind === "open" ? gate.identity : null;
}

/** Asks the server whether it works, and who this browser is signed in as. Never rejects. */
export async function checkAccess(): Promise<void> {
  try {
    const askedAtMs = Date.now();
    // Both calls run at once, because the page shows nothing before it has both answers.
    const [health, identity] = await Promise.all([
      darkroom.health().then((answer) => {
        learnServerTime(answer.time, askedAtMs, Date.now());
        return answer;
      }),
      darkroom.identity().catch((error: unknown) => {
        if (isSignedOut(error) || isMisconfigured(error)) return null;
        throw error;
      }),
    ]);
    if (health.status === "misconfigured") access.set({ kind: "misconfigured", health });
    else if (identity === null) access.set({ kind: "signed_out", health });
    else access.set({ kind: "open", health, identity });
  } catch {
    // An open page stays open: the lamp shows that the server cannot be reached, and the jobs on the page are still useful.
    if (access.get().kind !== "open") access.set({ kind: "unreachable" });
  }
}

/** Opens a session and loads the page again, so that no data of another client is shown. Rejects when the token is refused. */
export async function signIn(token: string): Promise<void> {
  const { client } = await darkroom.signIn(token);
  if (readStored(CLIENT_NAME) !== client) await forgetPrivate();
  writeStored(CLIENT_NAME, client);
  location.reload();
}

/** Ends the session and removes its client's data from this browser. Rejects when the server was not reached. */
export async function signOut(): Promise<void> {
  await darkroom.signOut();
  await forgetPrivate();
  location.assign("/");
}

/** Removes from this browser all that its client left in it. Never rejects. */
function forgetPrivate(): Promise<void> {
  forgetWritten();
  return forgetFiles();
}

// Another tab changed the session: what this tab shows and would send belongs to another client.
addEventListener("storage", ({ key }) => {
  if (key !== CLIENT_NAME) return;
  forgetTab();
  location.reload();
});

/**
 * Asks the server again after a call that failed for want of a session or a configuration. True: the page is no longer open.
 * False: it is another failure, the cause is mended by then, or the server cannot be reached; the page stays open and the caller
 * continues. Never rejects.
 */
export async function isShutOut(error: unknown): Promise<boolean> {
  if (!isSignedOut(error) && !isMisconfigured(error)) return false;
  await checkAccess();
  return access.get().kind !== "open";
}
