import { useEffect, useState } from "react";

/**
 * Reference images of drafts, in this browser's own database, so that a draft survives a reload and "again with changes" finds
 * its images. Keyed by the SHA-256 of the bytes, which is also how a job names its uploads.
 */

const DATABASE = "darkroom";
const FILES = "files";
/** The images of some recent drafts; older ones go. */
const MAX_FILES = 24;

interface StoredFile {
  readonly key: string;
  readonly blob: Blob;
  readonly name: string;
  readonly usedAtMs: number;
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(FILES, { keyPath: "key" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function inStore<Value>(
  mode: IDBTransactionMode,
  act: (files: IDBObjectStore) => IDBRequest<Value>,
): Promise<Value> {
  const database = await open();
  try {
    return await new Promise<Value>((resolve, reject) => {
      const request = act(database.transaction(FILES, mode).objectStore(FILES));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } finally {
    database.close();
  }
}

/** Files of this visit, for browsers whose database is closed to the page (private windows) and to save reading twice. */
const atHand = new Map<string, File>();

/** Keeps a file and answers its key. Never rejects: at worst the file lasts until the page is left. */
export async function keepFile(file: File): Promise<string> {
  const key = await keyOf(file);
  atHand.set(key, file);
  try {
    await inStore("readwrite", (files) =>
      files.put({ key, blob: file, name: file.name, usedAtMs: Date.now() } satisfies StoredFile),
    );
    await forgetOldFiles();
  } catch {
    // The database is a convenience; what is at hand is enough for this visit.
  }
  return key;
}

/** The file under a key; null when this browser has it no more. Never rejects. */
export async function readFile(key: string): Promise<File | null> {
  const known = atHand.get(key);
  if (known !== undefined) return known;
  try {
    // What this module has put there itself.
    const stored = (await inStore("readonly", (files) => files.get(key))) as StoredFile | undefined;
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
    await inStore("readwrite", (files) => files.clear());
  } catch {
    // A database that cannot be opened holds nothing for the page either.
  }
}

async function forgetOldFiles(): Promise<void> {
  const stored = (await inStore("readonly", (files) => files.getAll())) as StoredFile[];
  const old = stored.sort((a, b) => b.usedAtMs - a.usedAtMs).slice(MAX_FILES);
  for (const { key } of old) await inStore("readwrite", (files) => files.delete(key));
}

/** SHA-256 in hex; where the browser offers none (plain http beyond localhost), a random key. */
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

/** An address to show a file from that this browser keeps; null until it is read, and when the browser has it no more. */
export function useKeptFileUrl(key: string | null): string | null {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    if (key === null) return;
    let left = false;
    let made: string | null = null;
    void readFile(key).then((file) => {
      if (left || file === null) return;
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
