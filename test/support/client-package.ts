import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

/** A new folder as `npm install` leaves it: with the tarball's package, its one dependency, and the given packages of ours. */
export async function scratchProject(tarball: string, packages: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "client-package-"));
  const modules = join(folder, "node_modules");
  const client = join(modules, "@darkroom/client");
  mkdirSync(client, { recursive: true });
  await promisify(execFile)("tar", ["-xzf", tarball, "-C", client, "--strip-components=1"]);
  for (const name of ["zod", ...packages]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(resolve("node_modules", name), join(modules, name));
  }
  return folder;
}
