import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Product, startProduct } from "./support/product.ts";

let product: Product;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "readme-test-"));
  product = await startProduct({ emulator: { images: "drawn" } });
});
afterAll(async () => {
  await product?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The curl part's commands, as they are pasted; what never ends by itself is given ten seconds. */
function commands(): string[] {
  const readme = readFileSync("README.md", "utf8");
  const part = readme.slice(readme.indexOf("## Use it with curl"), readme.indexOf("## Configuration"));
  return [...part.matchAll(/^```sh\n(.*?)^```/gms)]
    .flatMap(([, block]) => (block ?? "").split(/(?<!\\)\n+/))
    .filter((command) => command !== "")
    .map((command) => command.replaceAll("http://localhost:8787", product.baseUrl))
    .map((command) => (command.includes("/api/events") ? command.replace("curl", "curl -m 10") : command));
}

it("has curl lines that work as pasted, one after the other", async () => {
  const lines = commands();
  expect(lines.length).toBeGreaterThan(15);
  // Each tells its status, and goes on whatever it was.
  const script = lines.map((line) => line.replace("curl", "curl -w '%{stderr}%{http_code}\\n'")).join("\n");
  const { stderr } = await promisify(execFile)("sh", ["-c", `${script} || true`], { cwd: folder });
  const statuses = stderr.match(/^\d{3}$/gm) ?? [];
  const told = lines.map((line, index) => `${statuses[index]} ${line.split("\n")[0]}`);
  expect(statuses).toHaveLength(lines.length);
  // A job that succeeded is neither canceled nor retried, and nothing else goes wrong.
  const wrong = told.filter((line) => !/^20[024] /.test(line));
  expect(wrong).toEqual(["409 curl -sS -X POST $JOB/cancel", "409 curl -sS -X POST $JOB/retry"]);
  expect(await sharp(join(folder, "image.png")).metadata()).toMatchObject({ format: "png", width: 1664, height: 928 });
});

/** The client's examples as one program: with what they take for granted, and an end to the watch that has none. */
function clientExamples(): string {
  const examples = [...readFileSync("client/README.md", "utf8").matchAll(/^```ts\n(.*?)^```/gms)].map(
    ([, block]) => block,
  );
  const given = [
    'import type { JobSummary } from "./schemas/job.ts";',
    'const order = { id: "order 7" };',
    'import { openAsBlob } from "node:fs";',
    // Only a page has a list of files.
    'const input = { files: [await openAsBlob("input.png", { type: "image/png" })] as unknown as FileList | null };',
    "const { signal } = new AbortController();",
  ];
  return [...given, ...examples]
    .join("\n")
    .replace("https://darkroom.example.com", product.baseUrl)
    .replace("jobs.delete(frame.id);", "$&\n  if (isListed) break;");
}

it("has examples of the client that a strict compiler takes, and that work as pasted, one after the other", async () => {
  const run = promisify(execFile);
  const isSource = (path: string) => !/\.(test|fixture)\.ts$/.test(path);
  for (const name of ["client", "schemas"]) cpSync(name, join(folder, name), { recursive: true, filter: isSource });
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "examples.ts"), clientExamples());
  const picture = sharp({ create: { width: 512, height: 512, channels: 3, background: "teal" } });
  await picture.png().toFile(join(folder, "input.png"));
  const compilerOptions = { lib: ["es2024", "esnext", "dom"], types: ["node"], noUnusedLocals: false };
  const config = { extends: resolve("tsconfig.base.json"), compilerOptions, files: ["examples.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const compiled = await run(resolve("node_modules/.bin/tsc"), ["-p", folder]).catch(
    (error: { stdout: string }) => error,
  );
  expect(compiled.stdout).toBe("");

  // Who pastes by hand cancels in time; a program would have to hurry.
  await product.emulator.addFault({
    match: { prompt: "a blue bicycle" },
    times: null,
    fault: { type: "hold", at: "arrival" },
  });
  const { stdout } = await run(process.execPath, ["examples.ts"], { cwd: folder });
  const [image] = stdout.match(/^http.*$/m) ?? [];
  expect((await fetch(image ?? "")).headers.get("content-type")).toMatch(/^image\//);
  expect(stdout).toMatch(/^\d+ state succeeded$/m);
  expect(stdout).toMatch(/^connecting\nlive\nclosed$/m);
  expect(stdout).toContain("must say what to draw");
});
