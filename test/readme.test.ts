import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

/** The commands of the curl section, as they are pasted; a stream that never ends is cut after ten seconds. */
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
  // Each command prints its status, and the script continues after any status.
  const script = lines.map((line) => line.replace("curl", "curl -w '%{stderr}%{http_code}\\n'")).join("\n");
  const { stderr } = await promisify(execFile)("sh", ["-c", `${script} || true`], { cwd: folder });
  const statuses = stderr.match(/^\d{3}$/gm) ?? [];
  const answered = lines.map((line, index) => `${statuses[index]} ${line.split("\n")[0]}`);
  expect(statuses).toHaveLength(lines.length);
  // A job that succeeded is neither canceled nor retried, and nothing else goes wrong.
  const wrong = answered.filter((line) => !/^20[024] /.test(line));
  expect(wrong).toEqual(["409 curl -sS -X POST $JOB/cancel", "409 curl -sS -X POST $JOB/retry"]);
  expect(await sharp(join(folder, "image.png")).metadata()).toMatchObject({ format: "png", width: 1664, height: 928 });
});
