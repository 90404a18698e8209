import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { startEmulator } from "../emulator/server.ts";
import { freePort } from "./support/free-port.ts";
import { OPEN_LANES, startProduct } from "./support/product.ts";
import { cloudIn, standInWrangler } from "./support/stand-in-wrangler.ts";
import { until } from "./support/until.ts";

const KEY = "sk-the-key-of-singapore";

it("leads a new operator from a clone to a service without a fault, and to a first image", async () => {
  const folder = mkdtempSync(join(tmpdir(), "darkroom-launch-"));
  const emulator = await startEmulator({
    settings: { apiKeys: [KEY], latencyMs: 50, latencySpread: 0, images: "small-file" },
  });
  const port = await freePort();
  const url = `http://localhost:${port}`;
  cpSync("wrangler.toml", join(folder, "wrangler.toml"));
  const { DARKROOM_TOKEN: _, ...inherited } = process.env;
  const launch = spawn(process.execPath, [resolve("scripts/launch.ts"), "--base-url", emulator.url], {
    cwd: folder,
    env: { ...inherited, ...standInWrangler(folder, url), SKIP_BUILD: "1", QWEN_API_KEY: KEY },
  });
  let text = "";
  for (const stream of [launch.stdout, launch.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
  const ended = new Promise<number | null>((done) => launch.once("close", done));
  try {
    // In place of the platform: the deployed Worker runs with the secrets that were put.
    const secrets = await until("the secrets", async () => {
      const put = cloudIn(folder).secrets;
      return Object.keys(put).length === 0 ? undefined : put;
    });
    const product = await startProduct({
      port,
      emulator: false,
      env: { ...secrets, AUTH_MODE: "token", QWEN_BASE_URL: emulator.url, LANE_LIMITS: OPEN_LANES },
    });
    try {
      expect(await ended, text).toBe(0);
      expect(text).toContain("All is well.");
      const token = /token of my-app: {2}(\S+)/.exec(text)?.[1];
      const made = await fetch(`${url}/api/workflows/image-from-text`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", prefer: "wait=60" },
        body: JSON.stringify({ prompt: "a red bicycle in the rain" }),
      });
      expect([made.status, await made.json()]).toEqual([200, expect.objectContaining({ status: "succeeded" })]);
    } finally {
      await product.stop();
    }
  } finally {
    launch.kill("SIGKILL");
    await emulator.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
