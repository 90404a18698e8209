import { accessSync, constants, mkdirSync } from "node:fs";

const WHY: Readonly<Record<string, string>> = {
  EEXIST: "it is a file",
  ENOTDIR: "a part of its path is a file",
  EACCES: "it, or the folder it is in, may not be written to",
  EPERM: "it, or the folder it is in, may not be written to",
  EROFS: "its file system is read-only",
  ENOSPC: "the disk is full",
};

/** Makes the state folder if it is missing. Throws with a sentence for people. */
export function makeStateFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new Error(`STATE_DIR: ${path} cannot be used as a folder: ${WHY[code] ?? code}`);
  }
}
