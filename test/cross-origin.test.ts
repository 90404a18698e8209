import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";
import type * as Client from "../client/index.ts";
import { launchBrowser } from "./support/browser.ts";
import { type Product, startProduct } from "./support/product.ts";
import { type ScriptedRequest, startScriptedServer } from "./support/scripted-server.ts";

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

/** The errors of calls that one client makes one after the other on a page of the other site; "none" for a success. */
async function outcomesOf(baseUrl: string, calls = 1): Promise<{ name: string; message: string }[]> {
  const page = await browser.newPage();
  try {
    await page.goto(siteOrigin);
    await page.waitForFunction(() => "darkroom" in window);
    return await page.evaluate(
      async ({ baseUrl, token, calls }) => {
        const { createDarkroomClient } = (window as unknown as { darkroom: typeof Client }).darkroom;
        const retry = { maxTries: 3, baseDelayMs: 1, maxDelayMs: 1, maxRetryAfterMs: 1 };
        const client = createDarkroomClient({ baseUrl, token, timing: { retry } });
        const outcomes: { name: string; message: string }[] = [];
        for (let call = 0; call < calls; call++) {
          try {
            await client.signOut();
            outcomes.push({ name: "none", message: "" });
          } catch (error) {
            outcomes.push({ name: (error as Error).name, message: (error as Error).message });
          }
        }
        return outcomes;
      },
      { baseUrl, token: TOKEN, calls },
    );
  } finally {
    await page.close();
  }
}

/** The first outcome. */
async function failureOf(baseUrl: string): Promise<{ name: string; message: string } | undefined> {
  return (await outcomesOf(baseUrl))[0];
}

it("distinguishes a server that refuses the page's origin from one that is down", async () => {
  const refused = await failureOf(product.baseUrl);
  expect(refused?.name).toBe("DarkroomForbiddenOrigin");
  expect(refused?.message).toContain(`CORS: an answer came, but the browser lets no page of ${siteOrigin} read it`);
  expect(refused?.message).toContain(`set ALLOWED_ORIGINS="${siteOrigin}"`);
  expect(refused?.message).toContain(`${product.baseUrl}/api/health`);
  const down = await failureOf("http://127.0.0.1:9");
  expect(down?.name).toBe("DarkroomUnreachable");
  expect(down?.message).toContain(`if the server is up, check CORS: its ALLOWED_ORIGINS must list ${siteOrigin}`);
});

const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "*, authorization",
  "access-control-allow-methods": "*",
};
const isHealth = ({ url }: ScriptedRequest) => url.pathname === "/api/health";

it("does not treat a failure as CORS at a server whose health the page may read, and reads health once", async () => {
  let cuts = 0;
  const server = await startScriptedServer({
    answer: (request) => {
      if (request.method === "OPTIONS") return { status: 204, headers: CORS };
      if (isHealth(request)) return { headers: CORS, body: {} };
      // A browser itself repeats a call when a connection that it used before is cut.
      return server.requests.filter(isHealth).length < 2 || cuts++ < 2 ? "cut" : { status: 204, headers: CORS };
    },
  });
  try {
    expect((await outcomesOf(server.baseUrl, 3)).at(-1)).toEqual({ name: "none", message: "" });
    // The page may not read the answer to the first, and may read the answer to the second.
    expect(server.requests.filter(isHealth)).toHaveLength(2);
  } finally {
    await server.close();
  }
});

it("does not repeat a call that CORS forbids, and checks health once for each call", async () => {
  const server = await startScriptedServer({ answer: () => ({ status: 200, body: {} }) });
  try {
    const outcomes = await outcomesOf(server.baseUrl, 2);
    expect(outcomes.map(({ name }) => name)).toEqual(["DarkroomForbiddenOrigin", "DarkroomForbiddenOrigin"]);
    expect(server.requests.filter(isHealth)).toHaveLength(4);
    expect(server.requests.filter((request) => !isHealth(request))).toHaveLength(2);
  } finally {
    await server.close();
  }
});

it("names a proxy's error page as another cause, because a page cannot see which answer is withheld", async () => {
  const edge = { status: 522, headers: { "content-type": "text/html" }, body: "<title>Connection timed out</title>" };
  const server = await startScriptedServer({ answer: () => edge });
  try {
    const failed = await failureOf(server.baseUrl);
    expect(failed?.message).toContain("a proxy in front of the server answers in its place: try again later");
    expect(failed?.message).toContain(`Open ${server.baseUrl}/api/health`);
  } finally {
    await server.close();
  }
});

it("checks health once for a call that is tried several times while the server is down", async () => {
  const server = await startScriptedServer({ answer: () => "cut" });
  try {
    const [outcome] = await outcomesOf(server.baseUrl);
    expect(outcome?.name).toBe("DarkroomUnreachable");
    expect(server.requests.filter((request) => !isHealth(request)).length).toBeGreaterThanOrEqual(3);
    expect(server.requests.filter(isHealth)).toHaveLength(1);
  } finally {
    await server.close();
  }
});
