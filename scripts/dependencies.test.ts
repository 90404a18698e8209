import { globSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

interface LockedPackage {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  /** Required by a tool, and by what is deployed only if it is installed: types. */
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
}

interface Lock {
  readonly lockfileVersion: number;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
}

const ROOT = new URL("../", import.meta.url);

function json<Shape>(name: string): Shape {
  // npm's own formats, reduced to what is read here.
  return JSON.parse(readFileSync(new URL(name, ROOT), "utf8")) as Shape;
}

const { lockfileVersion, packages } = json<Lock>("package-lock.json");
const manifest = json<Manifest>("package.json");
const client = json<Manifest>("client/package.json");
/** Clients of other APIs, which only the tests of the compatible APIs use. */
const compatible = json<Pick<Manifest, "devDependencies">>("test/compat/package.json");
/** Entries without a registry: this project, its workspaces, and the links to those. */
const OWN = ["", "client", "node_modules/@darkroom/client", "test/compat", "node_modules/compatible-clients"];
const locked = Object.entries(packages).filter(([path]) => !OWN.includes(path));

/** Licences that require a notice at most. */
const PERMISSIVE = new Set([
  "MIT",
  "ISC",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "Apache-2.0",
  "0BSD",
  "CC0-1.0",
  "Unlicense",
  "Zlib",
]);

/** Weak copyleft: unmodified tools of the build and the tests, in nothing that is deployed. */
const TOOLS: readonly (readonly [RegExp, string, string])[] = [
  [/^lightningcss(-|$)/, "MPL-2.0", "Vite's CSS compiler"],
  [/^axe-core$/, "MPL-2.0", "the accessibility rules of the browser tests"],
  [/^@img\/sharp-/, "LGPL-3.0-or-later", "libvips, which draws the emulator's pictures"],
  [/^lru-cache$/, "BlueOak-1.0.0", "a cache inside arethetypeswrong, which checks the client's package"],
  [/^argparse$/, "Python-2.0", "the command line of wawoff2, which unpacks fonts and is used as a library"],
  [/^@fontsource\/unifontex$/, "OFL-1.1", "the font of the emulator's pictures"],
  [
    /^@fontsource-variable\/noto-sans-(sc|arabic)$/,
    "OFL-1.1",
    "the letters of prompts in the browser tests' screenshots",
  ],
];

/** Why each of these may run a script at install. */
const INSTALL_SCRIPTS: Readonly<Record<string, string>> = {
  node: "puts the runtime that the scripts use in place, from its own platform package",
  esbuild: "makes its command the platform's binary, from its own platform package",
  workerd: "makes its command the platform's binary, from its own platform package",
};

function nameOf(path: string, { name }: LockedPackage): string {
  return name ?? path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
}

/** Whether licences that `may` accepts satisfy an SPDX expression: any side of an OR, every side of an AND. */
function allows(expression: string, may: (licence: string) => boolean): boolean {
  const plain = expression.replace(/^\((.*)\)$/, "$1");
  if (plain.includes(" OR ")) return plain.split(" OR ").some((part) => allows(part, may));
  return plain.split(" AND ").every((part) => may(part));
}

describe("what is installed", () => {
  it("may be used freely; a tool with further conditions is not part of what is deployed", () => {
    const refused = locked.filter(([path, entry]) => {
      const name = nameOf(path, entry);
      const extra = TOOLS.filter(([pattern]) => entry.dev === true && pattern.test(name)).map(([, licence]) => licence);
      return !allows(entry.license ?? "none", (licence) => PERMISSIVE.has(licence) || extra.includes(licence));
    });
    expect(refused.map(([path, { license }]) => `${path}: ${license}`)).toEqual([]);
  });

  it("needs every exception that is listed", () => {
    const names = locked.map(([path, entry]) => ({ name: nameOf(path, entry), license: entry.license ?? "" }));
    const unused = TOOLS.filter(
      ([pattern, licence]) => !names.some(({ name, license }) => pattern.test(name) && license.includes(licence)),
    );
    expect(unused.map(([pattern]) => String(pattern))).toEqual([]);
  });

  it("runs a script at install only with a reason and a permission", () => {
    const scripted = locked
      .filter(([, entry]) => entry.hasInstallScript === true)
      .map(([path, entry]) => nameOf(path, entry));
    expect(new Set(scripted)).toEqual(new Set(Object.keys(INSTALL_SCRIPTS)));
    expect(manifest.allowScripts).toEqual(Object.fromEntries(scripted.map((name) => [name, true])));
  });

  it("is exactly what was locked: each package has a version and a SHA-512, and comes from a registry", () => {
    expect(lockfileVersion).toBe(3);
    const loose = locked.filter(
      ([, { version, integrity, resolved, link }]) =>
        link === true ||
        !/^\d+\.\d+\.\d+/.test(version ?? "") ||
        !/^sha512-[\w+/]{86}==$/.test(integrity ?? "") ||
        (resolved !== undefined && !/^https:\/\/[^/]+\/.*\.tgz$/.test(resolved)),
    );
    expect(loose.map(([path]) => path)).toEqual([]);
  });

  it("is requested by version, never by address, branch or tag", () => {
    const asked = [manifest, client, { dependencies: {}, ...compatible }].flatMap(
      ({ dependencies, devDependencies }) => [...Object.entries(dependencies), ...Object.entries(devDependencies)],
    );
    const odd = asked.filter(([, wanted]) => !/^(npm:@?[\w./-]+@)?\^?\d+(\.\d+){0,2}(-[\w.]+)?$/.test(wanted));
    expect(odd).toEqual([]);
  });

  it("deploys only listed dependencies and what they require", () => {
    const shipped = locked
      .filter(([, { dev, devOptional }]) => dev !== true && devOptional !== true)
      .map(([path, entry]) => nameOf(path, entry));
    expect(shipped).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies)));
    const more = shipped.filter((name) => !(name in manifest.dependencies));
    expect(more.toSorted()).toEqual([
      "@babel/runtime",
      "@base-ui/utils",
      "@floating-ui/core",
      "@floating-ui/dom",
      "@floating-ui/react-dom",
      "@floating-ui/utils",
      "@modelcontextprotocol/core",
      "@remix-run/headers",
      "content-type",
      "regexparam",
      "reselect",
      "scheduler",
      "use-sync-external-store",
      "wasm-feature-detect",
    ]);
  });

  it("lists as a dependency everything that the Worker, the client or the page imports", () => {
    const imported = new Set<string>();
    for (const room of ["worker", "client", "web", "schemas"]) {
      for (const file of globSync(`${room}/**/*.{ts,tsx}`, { cwd: ROOT })) {
        if (/\.d\.ts$|\.(test|fixture|workers\.test)\.tsx?$|(vite|tsdown)\.config\.ts$|test-[\w-]+\.ts$/.test(file))
          continue;
        const source = readFileSync(new URL(file, ROOT), "utf8");
        const stated = source.matchAll(/^(?:import|export) (?!type\b)[^;]*?from "([^".][^"]*)";/gm);
        const late = source.matchAll(/\bimport\("([^".][^"]*)"\)/g);
        for (const [, from = ""] of [...stated, ...late]) {
          const [scope = "", name = ""] = from.split("/");
          if (!/^(node|cloudflare|virtual):/.test(from))
            imported.add(scope.startsWith("@") ? `${scope}/${name}` : scope);
        }
      }
    }
    expect([...imported].filter((name) => !(name in manifest.dependencies))).toEqual([]);
    expect([...imported].toSorted()).toEqual(Object.keys(manifest.dependencies).toSorted());
  });
});
