import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { JournalEntry } from "./journal-entry.ts";

/** Facts in the order they happened, one JSON a line. */
export interface Journal {
  /** What an earlier run left behind. */
  readonly earlier: readonly JournalEntry[];
  /** Written when it returns: a SIGKILL of this process right after loses nothing. */
  append(entry: JournalEntry): void;
  clear(): void;
  close(): void;
}

/** A journal that is forgotten with the process. */
export function memoryJournal(): Journal {
  return { earlier: [], append() {}, clear() {}, close() {} };
}

/** Complete lines only: the last one may have been cut by a kill amid the write. */
function readLines(file: string): { entries: JournalEntry[]; goodBytes: number } {
  if (!existsSync(file)) return { entries: [], goodBytes: 0 };
  const content = readFileSync(file);
  const goodBytes = content.lastIndexOf(0x0a) + 1;
  const lines = content.subarray(0, goodBytes).toString("utf8").split("\n").slice(0, -1);
  return {
    goodBytes,
    entries: lines.map((line, index) => {
      try {
        return JournalEntry.parse(JSON.parse(line));
      } catch (error) {
        throw new Error(
          `${file}, line ${index + 1}: not a fact of this emulator (${String(error)}); delete the file to start anew`,
        );
      }
    }),
  };
}

/** A journal in a file, made with its folder when missing. Throws when a line of it cannot be understood. */
export function fileJournal(file: string): Journal {
  mkdirSync(dirname(file), { recursive: true });
  const { entries, goodBytes } = readLines(file);
  // "a" makes the file where there is none; every write goes to its end.
  const descriptor = openSync(file, "a+", 0o600);
  ftruncateSync(descriptor, goodBytes);
  let open = true;
  return {
    earlier: entries,
    append(entry) {
      // Calls that were under way when the server stopped end after it.
      if (!open) return;
      writeSync(descriptor, `${JSON.stringify(entry)}\n`);
    },
    clear() {
      ftruncateSync(descriptor, 0);
    },
    close() {
      open = false;
      closeSync(descriptor);
    },
  };
}
