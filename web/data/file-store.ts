import { clear, createStore, delMany, entries, get, set } from "idb-keyval";
import { useEffect, useState } from "react";

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

/** Opened when it is first used: opening fails where the browser forbids a database, and then each use of it fails. */
let opened: ReturnType<typeof createStore> | null = null;

function files(): ReturnType<typeof createStore> {
  opened ??= createStore("darkroom-files", "files");
  return opened;
}

/** Files of this visit, for browsers that forbid the database (private windows), and to read each once only. */
const atHand = new Map<string, File>();

/**
 * Keeps a file and returns its key; at worst the file lasts until the page is left. Rejects when the file cannot be read: it was
 * changed or removed on disk since it was chosen.
 */
export async function keepFile(file: File): Promise<string> {
  const key = await keyOf(file);
  atHand.set(key, file);
  try {
    await set(key, { blob: file, name: file.name, usedAtMs: Date.now() } satisfies StoredFile, files());
    const kept = await entries<string, StoredFile>(files());
    const old = kept.sort(([, a], [, b]) => b.usedAtMs - a.usedAtMs).slice(MAX_FILES);
    await delMany(
      old.map(([oldKey]) => oldKey),
      files(),
    );
  } catch {
    // The database is a convenience; what is at hand is enough for this visit.
  }
  return key;
}

/** The file under a key; null when this browser no longer has it. Reading it counts as use: it is kept longer. Never rejects. */
export async function readFile(key: string): Promise<File | null> {
  const known = atHand.get(key);
  if (known !== undefined) return known;
  try {
    const stored = await get<StoredFile>(key, files());
    if (stored === undefined) return null;
    const file = new File([stored.blob], stored.name, { type: stored.blob.type });
    atHand.set(key, file);
    // Nothing waits for this: without it the file is only removed sooner.
    set(key, { ...stored, usedAtMs: Date.now() } satisfies StoredFile, files()).catch(() => undefined);
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
    // A database that cannot be opened holds nothing for the page either.
  }
}

/** In place of the address of a file that this browser no longer has. */
export const LOST = "lost:";

/** An address to show a kept file from; null until it is read, `LOST` when this browser no longer has the file. */
export function useKeptFileUrl(key: string | null): string | null {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    if (key === null) return;
    let left = false;
    let made: string | null = null;
    void readFile(key).then((file) => {
      if (left) return;
      if (file === null) {
        setAddress(LOST);
        return;
      }
      made = URL.createObjectURL(file);
      setAddress(made);
    });
    return () => {
      left = true;
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
