import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

interface LockedPackage {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly resolved?: string;
}

// npm's own format, version 3, reduced to what is read here.
const { packages } = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8")) as {
  readonly packages: Readonly<Record<string, LockedPackage>>;
};

/** Looks a package up as Node does: in the same folder, then in those above. */
function isLocked(from: string, name: string): boolean {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    if (packages[`${folder === "" ? "" : `${folder}/`}node_modules/${name}`] !== undefined) return true;
    if (!folder.includes("/node_modules/")) return packages[`node_modules/${name}`] !== undefined;
  }
}

it("locks the builds of all platforms, so that npm ci works on each of them", () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies ?? {})
      .filter((name) => !isLocked(path, name))
      .map((name) => `${path} wants ${name}`),
  );
  expect(missing).toEqual([]);
});

it("has no registry's address", () => {
  // A workspace is resolved to its folder.
  const resolved = Object.entries(packages).flatMap(([path, entry]) =>
    entry.resolved === undefined ? [] : [[path, entry.resolved]],
  );
  expect(resolved).toEqual([
    ["node_modules/@darkroom/client", "client"],
    ["node_modules/compatible-clients", "test/compat"],
  ]);
});
