import { clear, delMany, entries, createStore as openDatabase, promisifyRequest } from "idb-keyval";
import { useEffect, useState } from "react";
import { mayKeep } from "./browser-storage.ts";
import { createStore } from "./store.ts";

/**
 * Reference images of drafts, in this browser's own database, so that a draft survives a reload. Keyed by the SHA-256 of the
 * bytes, so that the same file is kept once.
 */
interface StoredFile {
  readonly blob: Blob;
  readonly name: string;
  readonly usedAtMs: number;
}

/** The images of some recent drafts; older ones are removed. */
const MAX_FILES = 24;

/** Opened when it is first used. Where the browser forbids a database, opening fails, and then each use of it fails. */
let opened: ReturnType<typeof openDatabase> | null = null;

function files(): ReturnType<typeof openDatabase> {
  opened ??= openDatabase("darkroom-files", "files");
  return opened;
}

/** Files of this visit, for browsers that forbid the database (private windows), and so that each file is read only once. */
const atHand = new Map<string, File>();

/** How often a file was kept in this visit. A view of a lost file looks for it again on each change. */
const timesKept = createStore(0);

/**
 * Keeps a file and returns its key. Without a database, or after a sign-out, the file lasts until the page is left. Rejects when
 * the file cannot be read: it was changed or removed on disk since it was chosen.
 */
export async function keepFile(file: File): Promise<string> {
  const key = await keyOf(file);
  atHand.set(key, file);
  timesKept.set(timesKept.get() + 1);
  try {
    await files()("readwrite", (store) => {
      // Asked in the transaction itself: one that begins after a sign-out comes after the removal of all files, too.
      if (mayKeep()) store.put({ blob: file, name: file.name, usedAtMs: Date.now() } satisfies StoredFile, key);
      return promisifyRequest(store.transaction);
    });
    const kept = await entries<string, StoredFile>(files());
    const old = kept.sort(([, a], [, b]) => b.usedAtMs - a.usedAtMs).slice(MAX_FILES);
    await delMany(
      old.map(([oldKey]) => oldKey),
      files(),
    );
  } catch {
    // The page works without the database: `atHand` is enough for this visit.
  }
  return key;
}

/** The file under a key; null when this browser no longer has it. Reading a file counts as use, so it is kept longer. Never rejects. */
export async function readFile(key: string): Promise<File | null> {
  const known = atHand.get(key);
  if (known !== undefined) return known;
  try {
    // One transaction, so that a file that is removed meanwhile is not written back.
    const stored = await files()("readwrite", async (store) => {
      const found: StoredFile | undefined = await promisifyRequest(store.get(key));
      // Not awaited: if the write fails, the file is only removed sooner.
      if (found !== undefined) store.put({ ...found, usedAtMs: Date.now() } satisfies StoredFile, key);
      return found;
    });
    if (stored === undefined) return null;
    const file = new File([stored.blob], stored.name, { type: stored.blob.type });
    atHand.set(key, file);
    return file;
  } catch {
    return null;
  }
}

/** Removes every file. Never rejects. */
export async function forgetFiles(): Promise<void> {
  atHand.clear();
  try {
    await clear(files());
  } catch {
    // The page cannot read a database that cannot be opened either.
  }
}

/** Stands for the address of a file that this browser no longer has. */
export const LOST = "lost:";

/** The address of a kept file for an `img`; null until it is read, `LOST` while this browser does not have the file. */
export function useKeptFileUrl(key: string | null): string | null {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    if (key === null) return;
    let left = false;
    let made: string | null = null;
    const show = async () => {
      if (made !== null) return;
      const file = await readFile(key);
      if (left || made !== null) return;
      if (file === null) {
        setAddress(LOST);
        return;
      }
      made = URL.createObjectURL(file);
      setAddress(made);
    };
    void show();
    const unsubscribe = timesKept.subscribe(() => void show());
    return () => {
      left = true;
      unsubscribe();
      if (made !== null) URL.revokeObjectURL(made);
      setAddress(null);
    };
  }, [key]);
  return address;
}

/** SHA-256 in hex; a random key where the browser offers no digest (plain http beyond localhost). */
async function keyOf(file: File): Promise<string> {
  if (crypto.subtle === undefined) return randomKey();
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return hex(new Uint8Array(digest));
}

/** 128 random bits in hex. */
export function randomKey(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
