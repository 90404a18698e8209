import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scratchProject } from "./support/client-package.ts";
import { codeBlocks } from "./support/code-blocks.ts";
import { type Product, startProduct } from "./support/product.ts";

/**
 * The package `@darkroom/client` as an app gets it: the tarball, in projects outside this repository. Here the other packages
 * are this repository's own; `npm run test:client-package` installs everything from the registry, and adds Node 20.
 */
const isLong = process.env.PACKAGE === "long";

const run = promisify(execFile);
const COMPILERS = { "5.5": "client/node_modules/typescript/bin/tsc", "7": "node_modules/typescript/bin/tsc" } as const;

const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  skipLibCheck: false,
  noEmit: true,
};

/** How apps of each kind compile: the file, the packages they have beside the client, and their compiler options. */
const APPS = {
  node: {
    file: "node.ts",
    packages: ["@types/node", "undici-types"],
    options: { target: "es2022", lib: ["es2022"], module: "nodenext", types: ["node"] },
  },
  page: {
    file: "page.tsx",
    packages: ["react", "@types/react", "csstype"],
    options: {
      target: "es2022",
      lib: ["es2022", "dom", "dom.iterable"],
      module: "esnext",
      moduleResolution: "bundler",
      jsx: "react-jsx",
      types: [],
    },
  },
  worker: {
    file: "worker.ts",
    packages: ["@cloudflare/workers-types"],
    options: {
      target: "es2022",
      lib: ["es2022"],
      module: "esnext",
      moduleResolution: "bundler",
      types: ["@cloudflare/workers-types"],
    },
  },
} as const;
type App = keyof typeof APPS;

let folder: string;
let tarball: string;
const projects: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "client-package-"));
  // This command fails when publint or arethetypeswrong finds anything.
  await run("npm", ["run", "pack:client", "--", "--pack-destination", folder]);
  tarball = join(folder, readdirSync(folder)[0] ?? "");
});
afterAll(() => {
  for (const made of [folder, ...projects]) rmSync(made, { recursive: true, force: true });
});

/** A project of the given kind with the tarball installed and `source` as its one file. */
async function projectOf(app: App, source = readFileSync(join("test/client-package", APPS[app].file), "utf8")) {
  const { file, packages, options } = APPS[app];
  const project = await scratchProject(tarball, packages);
  projects.push(project);
  writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module", private: true }));
  writeFileSync(join(project, file), source);
  const config = { compilerOptions: { ...STRICT, ...options }, files: [file] };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify(config));
  return project;
}

/** What the compiler prints; empty when it accepts the project. */
async function complaints(version: keyof typeof COMPILERS, project: string): Promise<string> {
  const args = [resolve(COMPILERS[version]), "-p", project];
  const done = await run(process.execPath, args).catch((error: { stdout: string }) => error);
  return done.stdout;
}

describe("the package", () => {
  it("has zod as its only dependency, the three entries, and the version that README and changelog name", async () => {
    const project = await projectOf("node");
    const installed = join(project, "node_modules/@darkroom/client");
    const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
    expect(Object.keys(manifest.dependencies)).toEqual(["zod"]);
    expect(Object.keys(manifest.exports)).toEqual([".", "./schemas", "./webhooks", "./package.json"]);
    expect(readFileSync(join(installed, "README.md"), "utf8")).toContain(`darkroom-client-${manifest.version}.tgz`);
    expect(readFileSync(join(installed, "CHANGELOG.md"), "utf8")).toMatch(/^## (.*)$/m);
    expect(readFileSync(join(installed, "CHANGELOG.md"), "utf8").match(/^## (.*)$/m)?.[1]).toBe(manifest.version);
  });

  it("adds at most 16 kB to a page, gzipped and without zod, and is at most 64 kB as a tarball", async () => {
    const project = await projectOf("page");
    const built = await build({
      root: project,
      configFile: false,
      logLevel: "error",
      build: {
        write: false,
        lib: { entry: "node_modules/@darkroom/client/dist/index.js", formats: ["es"] },
        rolldownOptions: { external: ["zod"] },
      },
    });
    const [output] = Array.isArray(built) ? built : [built];
    if (output === undefined || !("output" in output)) throw new Error("nothing was built");
    const code = output.output.map((chunk) => ("code" in chunk ? chunk.code : "")).join("");
    expect(code).toContain("DarkroomForbiddenOrigin");
    expect(code).not.toContain(".meta(");
    expect(gzipSync(code).length).toBeLessThanOrEqual(16_000);
    expect(readFileSync(tarball).length).toBeLessThanOrEqual(64_000);
  });
});

describe("the types of the package", () => {
  const all = (Object.keys(APPS) as App[]).flatMap((app) => [
    { app, version: "7" as const },
    { app, version: "5.5" as const },
  ]);
  // The old compiler takes seconds for each app. The app that it once refused stays in the short form.
  const cases = all.filter(({ app, version }) => isLong || version === "7" || app === "worker");

  it.each(cases)("compile in an app for $app under TypeScript $version with strict flags", async ({ app, version }) => {
    expect(await complaints(version, await projectOf(app))).toBe("");
  });

  it("refuse a wrong option, request and field", async () => {
    const wrong = [
      'import { createDarkroomClient } from "@darkroom/client";',
      "const client = createDarkroomClient({ baseUrl: 3 });",
      'const job = await client.submit("image-from-text", { prompt: 1 });',
      "export const wrong = job.state;",
    ];
    const found = await complaints("7", await projectOf("node", wrong.join("\n")));
    expect(found.match(/node\.ts\(\d+/g)).toEqual(["node.ts(2", "node.ts(3", "node.ts(4"]);
  });
});

describe("the package against a running Darkroom", () => {
  let product: Product;
  beforeAll(async () => {
    product = await startProduct({ emulator: { images: "drawn" } });
  });
  afterAll(async () => {
    await product?.stop();
  });

  it("watches a job to its end in Node, and rejects with its own error classes", async () => {
    const project = await projectOf("node");
    const { stdout } = await run(process.execPath, ["node.ts", product.baseUrl], { cwd: project });
    expect(JSON.parse(stdout)).toMatchObject({ ...SEEN, states: ["connecting", "live", "closed"] });
  });

  it("has a README whose blocks compile under strict flags, and work as pasted, one after the other", async () => {
    const blocks = codeBlocks("client/README.md");
    const worker = blocks.filter(({ info }) => info === "ts worker");
    expect(worker.length).toBeGreaterThan(1);
    for (const { code } of worker) expect(await complaints("7", await projectOf("worker", code))).toBe("");

    const project = await projectOf(
      "node",
      readmeProgram(
        blocks.filter(({ info }) => info === "ts"),
        product.baseUrl,
      ),
    );
    const config = JSON.parse(readFileSync(join(project, "tsconfig.json"), "utf8"));
    // README's blocks run in browsers too, so they are compiled with the browser's types and with an app's usual flags.
    config.compilerOptions = { ...config.compilerOptions, lib: ["es2024", "dom", "dom.iterable"], ...README_STYLE };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify(config));
    expect(await complaints("7", project)).toBe("");

    const picture = sharp({ create: { width: 512, height: 512, channels: 3, background: "teal" } });
    await picture.png().toFile(join(project, "input.png"));
    // The program cancels this job; without the fault it could be finished first.
    const isBlue = { match: { prompt: "a blue bicycle" }, times: null };
    await product.emulator.addFault({ ...isBlue, fault: { type: "hold", at: "arrival" } });
    const { stdout } = await run(process.execPath, ["node.ts"], { cwd: project });
    const [image] = stdout.match(/^http.*$/m) ?? [];
    expect((await fetch(image ?? "")).headers.get("content-type")).toMatch(/^image\//);
    expect(stdout).toMatch(/^http.*w=640$/m);
    expect(stdout).toMatch(/^\d+ state succeeded$/m);
    expect(stdout).toMatch(/^connecting\nlive\nclosed$/m);
    expect(stdout).toContain("must say what to draw");
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("succeeded");
  });

  it.runIf(isLong).each(["20", "24"])("works in Node %s, installed from the registry", async (version) => {
    const project = await installed("node", [`node@${version}`, "typescript@5.5", `@types/node@${version}`]);
    const bin = (name: string) => join(project, "node_modules/.bin", name);
    expect(await runs(bin("tsc"), ["--noEmit", "false", "--outDir", "built"], project)).toBe("");
    const seen = JSON.parse(await runs(bin("node"), ["built/node.js", product.baseUrl, `node ${version}`], project));
    expect(seen).toMatchObject(SEEN);
    expect(seen.node.split(".")[0]).toBe(version);
    // Node 20 has no WebSocket.
    expect(seen.states).toContain(version === "20" ? "polling" : "live");
  });
});

describe.runIf(isLong)("the package in apps whose packages come from the registry", () => {
  it.each(["5.5", "7"])("builds a page with Vite and React under TypeScript %s", async (version) => {
    const react = ["react", "react-dom", "@types/react", "@types/react-dom"];
    const project = await installed("page", ["vite", `typescript@${version}`, ...react]);
    expect(await runs(join(project, "node_modules/.bin/tsc"), [], project)).toBe("");
    writeFileSync(join(project, "index.html"), '<div id="root"></div><script type="module" src="/main.tsx"></script>');
    const main = [
      'import { createRoot } from "react-dom/client";',
      'import { Watched } from "./page";',
      'createRoot(document.getElementById("root")!).render(<Watched id="job_1" />);',
    ];
    writeFileSync(join(project, "main.tsx"), main.join("\n"));
    expect(await runs(join(project, "node_modules/.bin/vite"), ["build"], project)).toContain("built in");
  });

  it.each(["5.5", "5.9", "7"])("builds a Worker under TypeScript %s", async (version) => {
    const project = await installed("worker", ["wrangler", `typescript@${version}`, "@cloudflare/workers-types"]);
    expect(await runs(join(project, "node_modules/.bin/tsc"), [], project)).toBe("");
    const args = ["deploy", "worker.ts", "--dry-run", "--name", "app", "--compatibility-date", "2026-11-01"];
    expect(await runs(join(project, "node_modules/.bin/wrangler"), args, project)).toContain("Total Upload");
  });
});

/** A project with the tarball and the given packages, all installed by npm. */
async function installed(app: App, packages: readonly string[]): Promise<string> {
  const project = await projectOf(app);
  rmSync(join(project, "node_modules"), { recursive: true });
  await run("npm", ["install", "--no-audit", "--no-fund", tarball, ...packages], { cwd: project });
  return project;
}

/** What the command prints; both outputs of a command that fails. */
async function runs(command: string, args: readonly string[], cwd: string): Promise<string> {
  const done = await run(command, [...args], { cwd }).catch((error: { stdout: string; stderr: string }) => ({
    stdout: `failed: ${error.stdout}${error.stderr}`,
  }));
  return done.stdout;
}

/** What `test/client-package/node.ts` prints in every Node. */
const SEEN = {
  statuses: expect.arrayContaining(["succeeded"]),
  matched: [1],
  spent: true,
  schemas: true,
  listed: true,
  path: true,
  problem: true,
  unreachable: true,
  refused: "missing_header",
};

/** Flags that would make examples longer than readers want them. */
const README_STYLE = { noPropertyAccessFromIndexSignature: false };

/** The blocks as one program, with the variables that they use, and with an end for the watch that has none. */
function readmeProgram(blocks: readonly { readonly code: string }[], baseUrl: string): string {
  const given = [
    'import { openAsBlob } from "node:fs";',
    // Only a page has a list of files.
    'const input = { files: [await openAsBlob("input.png", { type: "image/png" })] as unknown as FileList | null };',
    "const { signal } = new AbortController();",
    `const darkroomUrl = "${baseUrl}";`,
  ];
  // The local server leaves a closed socket's connection open for ten seconds, which keeps Node waiting.
  return [...given, ...blocks.map(({ code }) => code), "process.exit();"]
    .join("\n")
    .replace("https://darkroom.example.com", baseUrl)
    .replace("jobs.delete(frame.id);", "$&\n  if (isListed) break;");
}
