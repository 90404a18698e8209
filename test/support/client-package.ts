import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Builds the package into `folder` and returns the tarball's path. `npm run pack:client` does the same in `client/dist`, which two
 * tests at once would overwrite, and checks the result.
 */
export async function packClient(folder: string): Promise<string> {
  const source = join(folder, "package");
  mkdirSync(source, { recursive: true });
  for (const name of ["package.json", "README.md", "CHANGELOG.md", "LICENSE"]) {
    cpSync(join("client", name), join(source, name));
  }
  const tsdown = resolve("client/node_modules/.bin/tsdown");
  await run(tsdown, ["--out-dir", join(source, "dist"), "--logLevel", "error"], { cwd: "client" });
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { cwd: source });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new Error("npm pack made no tarball");
  return join(folder, tarball);
}

/** A new folder as after `npm install`: with the tarball's package, its one dependency, and the given packages of this repository. */
export async function scratchProject(tarball: string, packages: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "client-package-"));
  const modules = join(folder, "node_modules");
  const client = join(modules, "@darkroom/client");
  mkdirSync(client, { recursive: true });
  await run("tar", ["-xzf", tarball, "-C", client, "--strip-components=1"]);
  for (const name of ["zod", ...packages]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(resolve("node_modules", name), join(modules, name));
  }
  return folder;
}
