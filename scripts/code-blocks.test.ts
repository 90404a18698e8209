import { execFile, spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { unstable_readConfig as readWranglerConfig } from "wrangler";
import { parse as parseYaml } from "yaml";
import { startEmulator } from "../emulator/server.ts";
import { type CodeBlock, codeBlocks } from "../test/support/code-blocks.ts";
import { readConfig } from "../worker/env.ts";

/**
 * Every fenced block of every Markdown file is compiled or run by a test. The product's tests run the blocks that need a
 * running Darkroom; the others are checked here, by their language.
 */

/** The parts of wrangler's resolved configuration that are read here. */
interface WranglerConfig {
  readonly name?: string;
  readonly assets?: unknown;
  readonly durable_objects: unknown;
  readonly exports?: unknown;
  readonly migrations?: unknown;
  readonly r2_buckets: readonly { readonly binding: string; readonly bucket_name?: string }[];
  readonly ratelimits: readonly { readonly name: string; readonly namespace_id: string; readonly simple: unknown }[];
}

/** Blocks that another test runs, and that test. */
const RUN_ELSEWHERE: readonly { readonly file: RegExp; readonly info: RegExp; readonly by: string }[] = [
  { file: /^docs\/operations\.md$/, info: /^yaml$/, by: "worker/http/core/metrics-text.test.ts" },
  { file: /^client\/README\.md$/, info: /^ts( worker)?$/, by: "test/client-package.test.ts" },
  { file: /^examples\/addreams\/README\.md$/, info: /^ts$/, by: "test/compat/clients.test.ts" },
];

const files = globSync("**/*.md", { exclude: (name) => /^(node_modules|dist|\..*)$/.test(name) }).toSorted();
const blocks = files.flatMap(codeBlocks);
const of = (info: string) => blocks.filter((block) => block.info === info);
const where = ({ file, line }: CodeBlock) => `${file}:${line}`;

const scratch = mkdtempSync(join(tmpdir(), "code-blocks-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

it("finds the blocks of all documents", () => {
  expect(files).toEqual(expect.arrayContaining(["README.md", "client/README.md", "docs/operations.md"]));
  expect(blocks.length).toBeGreaterThan(30);
  // A fence that is not closed would hide the blocks after it.
  const fences = files.flatMap((file) => readFileSync(file, "utf8").match(/^ *```/gm) ?? []);
  expect(fences).toHaveLength(2 * blocks.length);
});

it("knows how each block is checked, by its language", () => {
  const isChecked = ({ file, info }: CodeBlock) =>
    ["sh", "json", "toml", "yaml", "mermaid"].includes(info) ||
    RUN_ELSEWHERE.some((other) => other.file.test(file) && other.info.test(info));
  expect(blocks.filter((block) => !isChecked(block)).map((block) => `${where(block)} ${block.info}`)).toEqual([]);
  for (const { by } of RUN_ELSEWHERE) expect(readFileSync(by, "utf8")).toContain("codeBlocks(");
});

describe("shell blocks", () => {
  /** The npm scripts of the package that the document belongs to. */
  const scriptsOf = (file: string): Record<string, string> => {
    const own = join(dirname(file), "package.json");
    return JSON.parse(readFileSync(existsSync(own) ? own : "package.json", "utf8")).scripts ?? {};
  };

  it.each(of("sh").map((block) => [where(block), block] as const))(
    "%s is a shell program of commands that exist",
    (_where, { file, code }) => {
      const { status, stderr } = spawnSync("sh", ["-n"], { input: code, encoding: "utf8" });
      expect([status, stderr]).toEqual([0, ""]);
      const run = [...code.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(([, name]) => name ?? "");
      const scripts = { ...scriptsOf("package.json"), ...scriptsOf(file) };
      expect(run.filter((name) => !(name in scripts))).toEqual([]);
      const tools = [...code.matchAll(/npx ([\w@/.-]+)/g)].map(([, name]) => name ?? "");
      expect(tools.filter((name) => !globSync(`node_modules/.bin/${name}`).length)).toEqual([]);
    },
  );
});

/** A package's manifest in its own folder. */
interface Manifest {
  readonly version?: string;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

describe("an example that is a package", () => {
  const read = (file: string): Manifest => JSON.parse(readFileSync(file, "utf8"));
  const examples = globSync("examples/*/package.json").map(dirname).toSorted();
  const tarball = `darkroom-client-${read("client/package.json").version}.tgz`;
  const install = `npm install --no-save ../../${tarball}`;
  /** The lines of a document's shell blocks. */
  const linesOf = (file: string) =>
    blocks.filter((block) => block.file === file && block.info === "sh").flatMap(({ code }) => code.split("\n"));

  it.each(examples)("%s runs from a fresh clone by the lines of its README", (folder) => {
    const lines = linesOf(join(folder, "README.md"));
    const { dependencies = {}, scripts = {} } = read(join(folder, "package.json"));
    const first = lines.findIndex((line) => /^npm run dev$|\bnode src\//.test(line));
    expect(first).toBeGreaterThan(0);
    const setUp = lines.slice(0, first);
    // Packing the client makes its `dist`.
    expect(setUp).toEqual(expect.arrayContaining(["npm ci", "npm run pack:client", "npm start"]));
    const tools = Object.values(scripts).map((script) => join("node_modules/.bin", script.split(" ")[0] ?? ""));
    const packages = Object.keys(dependencies).map((name) => join("node_modules", name));
    const missing = [...tools, ...packages].filter((path) => !existsSync(path));
    // The root's packages are found from a folder in the clone; an install adds the others.
    expect(setUp.includes(install) || missing.length === 0, `${missing} in ${folder}`).toBe(true);
  });

  it("is installed with the tarball that pack:client makes", () => {
    const named = files.flatMap((file) => readFileSync(file, "utf8").match(/darkroom-client-[\w.-]+?\.tgz/g) ?? []);
    expect(new Set(named)).toEqual(new Set([tarball]));
    expect(readFileSync("examples/README.md", "utf8")).toContain(install);
  });
});

describe("JSON blocks", () => {
  it("of the operator's guide are values of MODELS that the Worker accepts", () => {
    const models = of("json").filter(({ file }) => file === "docs/operations.md");
    expect(models).toHaveLength(1);
    for (const { code } of models) {
      const read = readConfig({ AUTH_MODE: "open", QWEN_API_KEY: "sk-test", MODELS: code });
      expect(read).toMatchObject({ ok: true });
    }
  });

  it("are all JSON", () => {
    expect(of("json").length).toBeGreaterThan(0);
    for (const { code } of of("json")) expect(JSON.parse(code)).toBeTypeOf("object");
  });
});

describe("TOML blocks", () => {
  const shipped = readFileSync("wrangler.toml", "utf8");
  /** wrangler.toml without the tables that the block replaces. */
  const without = (code: string) => {
    const replaced = new Set(code.match(/^\[\w+\]$/gm));
    const tables = shipped.split(/^(?=\[)/m);
    return tables.filter((table) => !replaced.has(table.split("\n")[0] ?? "")).join("");
  };
  /** The configuration with the block at the end of wrangler.toml, as the text above each block says. */
  const withBlock = ({ code }: CodeBlock, env?: string): WranglerConfig => {
    const config = join(scratch, "wrangler.toml");
    writeFileSync(config, `${without(code)}\n${code}`);
    return readWranglerConfig({ config, ...(env === undefined ? {} : { env }) }) as unknown as WranglerConfig;
  };

  it("are configuration that wrangler accepts at the end of wrangler.toml", () => {
    expect(of("toml").length).toBeGreaterThan(2);
    for (const block of of("toml")) expect(withBlock(block).name).toBe("darkroom");
  });

  it("for a second environment repeat every binding, because an environment inherits none", () => {
    const [block] = of("toml").filter(({ code }) => code.includes("[env.staging]"));
    if (block === undefined) throw new Error("there is no block for staging");
    const [first, second] = [withBlock(block), withBlock(block, "staging")];
    const bindings = ({ assets, durable_objects, exports, migrations, r2_buckets, ratelimits }: WranglerConfig) => ({
      assets,
      objects: durable_objects,
      exports,
      migrations,
      buckets: r2_buckets.map(({ binding }) => binding),
      limiters: ratelimits.map(({ name, simple }) => ({ name, simple })),
    });
    expect(bindings(second)).toEqual(bindings(first));
    expect(second.r2_buckets[0]?.bucket_name).not.toBe(first.r2_buckets[0]?.bucket_name);
    expect(second.ratelimits[0]?.namespace_id).not.toBe(first.ratelimits[0]?.namespace_id);
  });
});

describe("YAML blocks", () => {
  it("are YAML, and name metrics that the Worker has", () => {
    const sources = globSync("worker/**/*.ts").map((file) => readFileSync(file, "utf8"));
    const metrics = new Set(sources.flatMap((source) => source.match(/darkroom_\w+/g) ?? []));
    expect(of("yaml").length).toBeGreaterThan(0);
    for (const { code } of of("yaml")) {
      expect(parseYaml(code)).toBeTypeOf("object");
      expect((code.match(/darkroom_\w+/g) ?? []).filter((name) => !metrics.has(name))).toEqual([]);
    }
  });
});

describe("diagrams", () => {
  /** The statements that our diagrams use, one a line. */
  const STATEMENTS: Readonly<Record<string, RegExp>> = {
    "stateDiagram-v2": /^(\[\*\]|\w+) --> (\[\*\]|\w+)(: .+)?$/,
    sequenceDiagram:
      /^(participant \w+( as .+)?|(Note (over|left of|right of) [\w, ]+|\w+(->>|-->>|-x|--x|-\)|--\))[+-]?\w+): .+|(alt|else|opt|loop|par|and|rect|critical|break)( .+)?|end|autonumber)$/,
    "flowchart LR": /^.+$/,
    "flowchart TD": /^.+$/,
  };

  it("have only kinds and statements that Mermaid knows", () => {
    expect(of("mermaid").length).toBeGreaterThan(1);
    const wrong = of("mermaid").flatMap((block) => {
      const [kind = "", ...lines] = block.code.split("\n").map((line) => line.trim());
      const statement = STATEMENTS[kind];
      if (statement === undefined) return [`${where(block)} ${kind}`];
      return lines.filter((line) => line !== "" && !line.startsWith("%%") && !statement.test(line));
    });
    expect(wrong).toEqual([]);
  });
});

describe("the emulator's README", () => {
  it("shows a call that the emulator answers with an image, and a rule that it accepts", async () => {
    const emulator = await startEmulator({ settings: { latencyMs: 0, latencySpread: 0, images: "small-file" } });
    try {
      const own = blocks.filter(({ file }) => file === "emulator/README.md");
      const call = own.find(({ code }) => code.startsWith("curl"))?.code ?? "";
      const rule = own.find(({ info }) => info === "json")?.code ?? "";
      const script = call.replace("http://127.0.0.1:9000", emulator.url);
      const { promise, resolve } = Promise.withResolvers<string>();
      execFile("sh", ["-c", script], { cwd: scratch }, (_error, stdout) => resolve(stdout));
      const answer = JSON.parse(await promise);
      expect(answer.output.choices[0].message.content[0].image).toMatch(/^http.*\.png/);
      const added = await fetch(`${emulator.url}/__emulator/faults`, { method: "POST", body: rule });
      expect([added.status, await added.text()]).toEqual([expect.any(Number), expect.stringContaining("empty-body")]);
      expect(added.ok).toBe(true);
    } finally {
      await emulator.close();
    }
  });
});
