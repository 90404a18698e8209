import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { stateRoot } from "./side.ts";

/**
 * The size of each database directly in `folder`, in bytes: whole pages, as they are billed, including pages that are only in the
 * write-ahead log. The databases are copied first, because a running workerd locks them.
 */
export function databaseSizes(folder: string): number[] {
  const copies = mkdtempSync(join(stateRoot(), "darkroom-sizes-"));
  try {
    cpSync(folder, copies, { recursive: true });
    return readdirSync(copies)
      .filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite")
      .map((name) => sizeOf(join(copies, name)));
  } finally {
    rmSync(copies, { recursive: true, force: true });
  }
}

function sizeOf(path: string): number {
  const database = new DatabaseSync(path);
  try {
    return pragma(database, "page_count") * pragma(database, "page_size");
  } finally {
    database.close();
  }
}

function pragma(database: DatabaseSync, name: string): number {
  const value = database.prepare(`PRAGMA ${name}`).get()?.[name];
  if (typeof value !== "number") throw new Error(`a database has no ${name}`);
  return value;
}
