import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";
import type * as Client from "../client/index.ts";
import { launchBrowser } from "./support/browser.ts";
import { type Product, startProduct } from "./support/product.ts";

/** The client library in a real browser, on a page of another origin than the service's. */

const TOKEN = "token-of-alice";
let product: Product;
let browser: Browser;
let site: Server;
let siteOrigin: string;

async function clientBundle(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, minify: false, lib: { entry: "client/index.ts", formats: ["es"] } },
  });
  const [output] = Array.isArray(built) ? built : [built];
  if (output === undefined || !("output" in output)) throw new Error("nothing was built");
  return output.output[0].code;
}

beforeAll(async () => {
  const code = await clientBundle();
  site = createServer((request, response) => {
    const isScript = request.url === "/client.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(
      isScript
        ? code
        : '<!doctype html><script type="module">import * as client from "/client.js"; window.darkroom = client;</script>',
    );
  });
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  siteOrigin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  browser = await launchBrowser();
  product = await startProduct({
    env: {
      AUTH_MODE: "token",
      SIGNING_SECRET: "a secret of many characters",
      CLIENT_TOKENS: JSON.stringify({ alice: createHash("sha256").update(TOKEN).digest("hex") }),
    },
  });
});
afterAll(async () => {
  await browser?.close();
  await product?.stop();
  site?.close();
});

/** What a call from a page of the other site rejects with. */
async function failureOf(baseUrl: string): Promise<{ name: string; message: string }> {
  const page = await browser.newPage();
  try {
    await page.goto(siteOrigin);
    await page.waitForFunction(() => "darkroom" in window);
    return await page.evaluate(
      async ({ baseUrl, token }) => {
        const { createDarkroomClient } = (window as unknown as { darkroom: typeof Client }).darkroom;
        const retry = { maxTries: 2, baseDelayMs: 1, maxDelayMs: 1, maxRetryAfterMs: 1 };
        const client = createDarkroomClient({ baseUrl, token, timing: { retry } });
        try {
          await client.limits();
          return { name: "none", message: "" };
        } catch (error) {
          return { name: (error as Error).name, message: (error as Error).message };
        }
      },
      { baseUrl, token: TOKEN },
    );
  } finally {
    await page.close();
  }
}

it("distinguishes a server that refuses the page's origin from one that is down", async () => {
  const refused = await failureOf(product.baseUrl);
  expect(refused.name).toBe("DarkroomForbiddenOrigin");
  expect(refused.message).toContain(siteOrigin);
  expect(refused.message).toContain("CORS");
  expect(refused.message).toContain("ALLOWED_ORIGINS");
  const down = await failureOf("http://127.0.0.1:9");
  expect(down.name).toBe("DarkroomUnreachable");
  expect(down.message).toContain(`if the server is up, check CORS: its ALLOWED_ORIGINS must list ${siteOrigin}`);
});
