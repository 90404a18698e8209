import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DeliveryList, WebhookSecret } from "../schemas/webhook.ts";
import { packClient, scratchProject } from "./support/client-package.ts";
import { freePort } from "./support/free-port.ts";
import { type Product, startProduct } from "./support/product.ts";
import { until } from "./support/until.ts";

/** The receivers of `examples/`, as their READMEs start them, with real deliveries. */

let product: Product;
let folder: string;
let secret: string;
const receivers: ChildProcess[] = [];
const projects: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "webhook-receivers-"));
  product = await startProduct();
  const answer = await fetch(`${product.baseUrl}/api/webhooks/secret?client=local`);
  secret = ((await answer.json()) as WebhookSecret).secret;
});
afterAll(async () => {
  for (const receiver of receivers) receiver.kill("SIGKILL");
  await product?.stop();
  for (const made of [folder, ...projects]) rmSync(made, { recursive: true, force: true });
});

interface Receiver {
  readonly url: string;
  log(): string;
}

/** Starts a program that prints where it listens. */
async function started(command: string, args: readonly string[], cwd: string, port: number): Promise<Receiver> {
  const env = { ...process.env, PORT: String(port), DARKROOM_WEBHOOK_SECRET: `whsec_b3RoZXI=,${secret}` };
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  receivers.push(child);
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
  }
  await until("the receiver", () => {
    if (child.exitCode !== null) throw new Error(log);
    return log.includes("listening") || undefined;
  });
  return { url: `http://127.0.0.1:${port}/darkroom`, log: () => log };
}

async function startHono(): Promise<Receiver> {
  const packages = ["hono", "@hono/node-server", "@types/node", "undici-types"];
  const project = await scratchProject(await packClient(folder), packages);
  projects.push(project);
  cpSync("examples/webhook-hono", project, { recursive: true });
  const tsc = spawnSync(process.execPath, [resolve("node_modules/typescript/bin/tsc"), "-p", project], {
    encoding: "utf8",
  });
  expect(tsc.stdout).toBe("");
  return await started(process.execPath, ["src/index.ts"], project, await freePort());
}

async function startPython(): Promise<Receiver> {
  const port = await freePort();
  return await started("python3", ["receiver.py", String(port)], "examples/webhook-python", port);
}

describe.each([
  ["Hono", startHono],
  ["Python", startPython],
])("the example in %s", (_name, start) => {
  it("takes a genuine event once, also when it comes again, and refuses every other", async () => {
    const receiver = await start();
    const body = JSON.stringify({ prompt: "a red bicycle", webhook: { url: receiver.url } });
    const headers = { "content-type": "application/json", prefer: "wait=30" };
    const answer = await fetch(`${product.baseUrl}/api/workflows/image-from-text`, { method: "POST", body, headers });
    const { id } = (await answer.json()) as { id: string };
    const deliveries = `${product.baseUrl}/api/jobs/${id}/deliveries`;
    const deliveredAfter = (tries: number) =>
      until(`${tries} tries`, async () => {
        const list = (await (await fetch(deliveries)).json()) as DeliveryList;
        const [first] = list.deliveries;
        return first?.state === "delivered" && first.tries.length === tries ? first : undefined;
      });
    const { number } = await deliveredAfter(1);
    await fetch(`${deliveries}/${number}/resend`, { method: "POST" });
    const { tries } = await deliveredAfter(2);
    expect(tries.map(({ status }) => status)).toEqual([204, 204]);
    expect(receiver.log().match(/succeeded: http/g)).toHaveLength(1);

    const forged = { "webhook-id": `${id}.9`, "webhook-timestamp": String(Math.floor(Date.now() / 1000)) };
    for (const signature of ["v1,AAAA", "", "v1,größer"]) {
      const sent = await fetch(receiver.url, {
        method: "POST",
        body: "{}",
        headers: { ...forged, "webhook-signature": encodeURI(signature) },
      });
      expect(sent.status).toBe(400);
    }
  });
});
