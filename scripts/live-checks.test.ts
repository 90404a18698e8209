import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { startEmulator } from "../emulator/server.ts";
import { codeBlocks } from "../test/support/code-blocks.ts";

/** The commands of `docs/live-checks.md`. With all other blocks they are also checked to be shell programs. */
const [setup, ...blocks] = codeBlocks("docs/live-checks.md").map(({ code, line }) => ({ code, line }));

/** The commands that call upstream and not a deployment of Darkroom. */
const upstream = blocks.filter(
  ({ code }) => /\b(post|task|submit|finish|made)\b|\$BASE/.test(code) && !/\$URL/.test(code),
);

/** DashScope's own hosts. No test calls them. */
const HOSTS = /https:\/\/\$host\.aliyuncs\.com/g;

it("every command of docs/live-checks.md sends upstream only what it understands", async () => {
  const settings = { latencyMs: 0, latencySpread: 0, quota: "off", images: "small-file" } as const;
  const emulator = await startEmulator({ settings });
  try {
    const script = [
      "sleep() { :; }",
      setup?.code,
      ...upstream.flatMap(({ code, line }) => [`printf '\\n== ${line}\\n'`, code.replace(HOSTS, emulator.url)]),
    ].join("\n");
    expect(script.replace(setup?.code ?? "", "")).not.toContain("https://");
    const env = { ...process.env, KEY: "sk-test", BASE: `${emulator.url}/api/v1` };
    const { stdout, stderr } = await promisify(execFile)("sh", ["-c", script], { env, maxBuffer: 64 * 1024 * 1024 });
    expect(stderr).toBe("");
    const answers = stdout.split(/^== /m).slice(1);
    expect(answers).toHaveLength(upstream.length);
    expect(upstream.length).toBeGreaterThan(25);
    for (const answer of answers) {
      const [line] = answer.split("\n");
      expect(answer, `line ${line}`).toMatch(/HTTP\/1\.1 \d{3}|"code"|https?:\/\/|req-cost-time/);
      // Only the vendor's list of quotas has a path that the emulator lacks.
      if (!/\/quotas/.test(upstream.find((block) => String(block.line) === line)?.code ?? "")) {
        expect(answer, `line ${line}`).not.toContain('"NotFound"');
      }
    }
    const models = new Set(emulator.state.ledger.calls.map(({ model }) => model));
    expect([...models]).toEqual(expect.arrayContaining(["qwen-image-max", "wan2.7-image", "qwen-image-2.1-pro"]));
  } finally {
    await emulator.close();
  }
}, 120_000);
