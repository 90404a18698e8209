import { navigate } from "wouter/use-browser-location";
import { paths } from "../../schemas/paths.ts";
import type { ListedJob } from "../state/listed-job.ts";
import { announcementOf, toneOf } from "../state/standing.ts";
import { NOTIFY_NAME, readStored, writeStored } from "./browser-storage.ts";
import { randomKey } from "./file-store.ts";
import { notify } from "./notices.ts";
import { createStore } from "./store.ts";

/** The jobs that ended since a person last looked at the page in any tab of this browser, each with its latest end. */
export const unseen = createStore<ReadonlyMap<string, string>>(new Map());

/** Names one end of a job: a job that is retried ends again. */
function endOf({ id, finishedAt }: ListedJob): string {
  return `${id} ${finishedAt}`;
}

function isLookedAt(): boolean {
  return document.visibilityState === "visible" && document.hasFocus();
}

/** Sends the other tabs of this browser the ends that were seen in this one. */
const tabs = openChannel();

/** Null where the browser forbids it, as Firefox does while cookies are blocked: each tab then counts by itself. */
function openChannel(): BroadcastChannel | null {
  try {
    const channel = new BroadcastChannel("darkroom.seen");
    channel.onmessage = takeSeen;
    return channel;
  } catch {
    return null;
  }
}

/** The last `MAX_SEEN` ends that were seen in other tabs: this tab may get such an end only later. */
let seenElsewhere: readonly string[] = [];
const MAX_SEEN = 200;

function takeSeen({ data }: MessageEvent<readonly string[]>): void {
  seenElsewhere = [...seenElsewhere, ...data].slice(-MAX_SEEN);
  clear();
}

function clear(): void {
  if (unseen.get().size > 0) unseen.set(new Map());
}

/** A tab holds a lock of its own with this prefix while it is looked at; the browser releases the lock of a tab that is closed. */
const LOOKING = "darkroom.looking ";
const ownLock = `${LOOKING}${randomKey()}`;
let release: (() => void) | null = null;

function stopLooking(): void {
  release?.();
  release = null;
}

function look(): void {
  if (!isLookedAt()) {
    stopLooking();
    return;
  }
  tabs?.postMessage([...unseen.get().values()]);
  clear();
  if (release !== null) return;
  const left = new Promise<void>((resolve) => {
    release = resolve;
  });
  // `locks` is missing over plain http, where no notification is shown either.
  navigator.locks?.request(ownLock, () => left).catch(() => undefined);
}

/** Whether another tab of this browser is looked at; false where the browser has no locks. Never rejects. */
async function isLookedAtElsewhere(): Promise<boolean> {
  try {
    const { held = [] } = await navigator.locks.query();
    return held.some(({ name = "" }) => name.startsWith(LOOKING) && name !== ownLock);
  } catch {
    return false;
  }
}

/** Notes when a person looks at this tab. Only for a tab that shows the jobs, not for a shared link's page. Call the result to end it. */
export function followLooks(): () => void {
  const leaving = new AbortController();
  const { signal } = leaving;
  document.addEventListener("visibilitychange", look, { signal });
  addEventListener("focus", look, { signal });
  addEventListener("blur", look, { signal });
  look();
  return () => {
    leaving.abort();
    stopLooking();
  };
}

/** Whether this browser shows a notification when a job ends while nobody looks: the person's choice, and what the browser allows. */
export type Notifying = "on" | "off" | "denied" | "unable";

function notifyingNow(): Notifying {
  // Notifications are missing over plain http.
  if (!("Notification" in window) || !isSecureContext) return "unable";
  if (Notification.permission === "denied") return "denied";
  return Notification.permission === "granted" && readStored(NOTIFY_NAME) === "on" ? "on" : "off";
}

export const notifying = createStore<Notifying>(notifyingNow());

/** Turns notifications off, or on after the browser has asked the person. */
export async function toggleNotifying(): Promise<void> {
  if (notifying.get() === "on") writeStored(NOTIFY_NAME, null);
  else if ((await Notification.requestPermission()) === "granted") {
    writeStored(NOTIFY_NAME, "on");
    notify("done", "This browser notifies you when a job ends while you look elsewhere");
  }
  notifying.set(notifyingNow());
  if (notifying.get() === "denied") {
    notify("failed", "This browser blocks notifications of this page. Allow them in its settings for this site.");
  }
}

/**
 * Notes that a job went from one state to another. An end while nobody looks is counted, and shown as a notification. An end while
 * somebody looks counts as seen in all tabs.
 */
export function noteEnd(before: ListedJob | undefined, after: ListedJob): void {
  if (before === undefined || before.done || !after.done || after.status === "canceled") return;
  if (isLookedAt()) {
    tabs?.postMessage([endOf(after)]);
    return;
  }
  if (seenElsewhere.includes(endOf(after))) return;
  unseen.set(new Map(unseen.get()).set(after.id, endOf(after)));
  if (notifying.get() === "on") void notifyOf(before, after);
}

async function notifyOf(before: ListedJob, after: ListedJob): Promise<void> {
  if (await isLookedAtElsewhere()) return;
  const title = `Darkroom: ${toneOf(after) === "ready" ? "Ready" : "Failed"}`;
  const body = announcementOf(before, after) ?? after.prompt;
  show(title, { body, tag: after.id, icon: "/safelight.svg" }, paths.jobPage(after.id));
}

function show(title: string, options: NotificationOptions, path: string): void {
  try {
    const shown = new Notification(title, options);
    shown.onclick = () => {
      window.focus();
      shown.close();
      navigate(path);
    };
  } catch {
    // Browsers on phones show only notifications of service workers.
    import("./notify-by-worker.ts")
      .then(({ notifyByWorker }) => notifyByWorker(title, options, path))
      .catch(() => notifying.set("unable"));
  }
}
