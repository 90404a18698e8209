import type { Page } from "playwright-core";
import { beforeEach, describe, expect, it } from "vitest";
import { screenshot } from "../support/browser.ts";
import {
  card,
  choose,
  develop,
  expectAccessible,
  hold,
  isAtEnd,
  lamp,
  ownProduct,
  refuse,
  visitorOf,
} from "../support/page.ts";
import type { Product } from "../support/product.ts";
import { until } from "../support/until.ts";

/** Short, so that an attempt that died with the Worker is found soon; much longer than the emulator's latency. */
const BUDGET = { QWEN_TIMEOUT_MS: "10000" };

const own = ownProduct({ emulator: { images: "drawn", latencyMs: 400 }, env: BUDGET });
const visitor = visitorOf(() => own.product.baseUrl);

let product: Product;
let page: Page;
beforeEach(() => {
  product = own.product;
  page = visitor.page;
});

/** A browser's report of a layout shift; TypeScript's library does not declare it. */
interface LayoutShift extends PerformanceEntry {
  readonly value: number;
  readonly hadRecentInput: boolean;
  readonly sources: readonly { readonly node: Node | null }[];
}

interface Shift {
  readonly value: number;
  /** The elements that moved, as far as the browser names them. */
  readonly what: string;
}

describe("being live", () => {
  it("keeps two tabs in step over one socket each", async () => {
    const other = await page.context().newPage();
    const sockets: string[] = [];
    other.on("websocket", (socket) => sockets.push(new URL(socket.url()).pathname));
    await other.goto(product.baseUrl);
    await lamp(other, "live").waitFor();
    await develop(page, "seen in both tabs");
    await card(other, "seen in both tabs").locator("img[data-developed]").waitFor();
    await page.getByRole("link", { name: "seen in both tabs" }).first().click();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
    await card(other, "seen in both tabs").waitFor({ state: "detached" });
    expect(sockets).toEqual(["/api/events"]);
  });

  it("fetches older jobs when the newest page has become empty", async () => {
    await product.emulator.addFault({ ...hold("left below"), times: null });
    const submit = async (prompt: string) => {
      const headers = { "content-type": "application/json" };
      const init = { method: "POST", headers, body: JSON.stringify({ prompt }) };
      const { id } = await (await fetch(`${product.baseUrl}/api/workflows/image-from-text`, init)).json();
      return String(id);
    };
    const oldest = await submit("left below, the oldest");
    const newest: string[] = [];
    for (let index = 0; index < 24; index += 1) newest.push(await submit(`left below, ${index}`));
    await page.route(/api\/jobs\?.*cursor=/, (route) => route.abort());
    await page.goto(`${product.baseUrl}/?show=active`);
    await lamp(page, "live").waitFor();
    await card(page, "left below, 23").waitFor();
    for (const id of newest) await fetch(`${product.baseUrl}/api/jobs/${id}/cancel`, { method: "POST" });
    await page.getByRole("article").first().waitFor({ state: "detached" });
    const older = page.getByRole("button", { name: "Show older jobs" });
    await older.waitFor();
    await page.unroute(/api\/jobs\?.*cursor=/);
    await until("the oldest job", async () => {
      // The button disappears by itself when the page fetches first.
      if (await older.isVisible()) await older.click({ timeout: 1_000 }).catch(() => undefined);
      return (await card(page, "left below, the oldest").isVisible()) || undefined;
    });
    for (const id of [oldest, ...newest]) await fetch(`${product.baseUrl}/api/jobs/${id}`, { method: "DELETE" });
  });

  it("says that the server is away, and shows everything missed once it is back", async () => {
    await lamp(page, "live").waitFor();
    await product.emulator.addFault(hold("over a restart"));
    await develop(page, "carried over a restart");
    await product.emulator.untilHeld("over a restart");
    await product.kill("worker");
    await lamp(page, "reconnecting").waitFor();
    await screenshot(page, "product-reconnecting");
    await product.restart();
    await product.emulator.release();
    await fetch(`${product.baseUrl}/api/workflows/image-from-text`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: "made while the page was cut off" }),
    });
    await lamp(page, "live").waitFor();
    await card(page, "made while the page was cut off").locator("img[data-developed]").waitFor();
    // The attempt that died with the Worker is found at the end of its budget, and repeated.
    await card(page, "carried over a restart").locator("img[data-developed]").waitFor({ timeout: 90_000 });
  }, 180_000);

  it("continues after a refusal that the server does not repeat", async () => {
    await develop(page, "followed on and on");
    const link = page.getByRole("link", { name: "followed on and on" }).first();
    await card(page, "followed on and on").locator("img[data-developed]").waitFor();
    const address = new URL((await link.getAttribute("href")) ?? "", product.baseUrl);
    // At first the feed's socket is closed; the feed, the limits and the job are then refused once as unauthorized.
    let sockets = 0;
    await page.routeWebSocket(/\/api\/events/, (socket) => {
      sockets += 1;
      if (sockets === 1) void socket.close({ code: 1011 });
      else socket.connectToServer();
    });
    for (const path of ["/api/events", "/api/limits", `/api${address.pathname}`]) {
      await page.route(`${product.baseUrl}${path}`, (route) => refuse(route, "unauthorized"), { times: 1 });
    }
    await page.goto(address.href);
    await page.getByRole("heading", { level: 1, name: "Job: followed on and on" }).waitFor();
    await lamp(page, "live").waitFor();
    await page.getByRole("link", { name: "Prints", exact: true }).click();
    await page.getByRole("button", { name: "Develop" }).waitFor();
    expect(sockets).toBe(2);
  });

  it("says why the form cannot be loaded, and draws it once it can", async () => {
    const isMended = { limits: false };
    await page.route("**/api/limits", (route) => (isMended.limits ? route.continue() : refuse(route, "internal")));
    await page.goto(product.baseUrl);
    await lamp(page, "live").waitFor();
    await page.getByRole("alert").getByText("Something went wrong here.").waitFor();
    await expectAccessible(page);
    await page.getByRole("button", { name: "Try again" }).first().click();
    await page.getByRole("link", { name: "Lanes" }).click();
    await page.getByRole("alert").getByText("Something went wrong here.").waitFor();
    isMended.limits = true;
    await page.getByRole("article").first().waitFor();
    isMended.limits = false;
    await page.getByText("These numbers are old").waitFor();
    isMended.limits = true;
    await page.getByText("These numbers are old").waitFor({ state: "detached" });
    await page.getByRole("link", { name: "Prints", exact: true }).click();
    await page.getByRole("button", { name: "Develop" }).waitFor();
  });

  it("fetches the prints once the list is answered again, and moves the focus to them", async () => {
    const isMended = { list: false };
    await page.route("**/api/jobs?*", (route) => (isMended.list ? route.continue() : refuse(route, "internal")));
    await page.goto(product.baseUrl);
    await lamp(page, "reconnecting").waitFor();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("alert").getByText("Something went wrong here.").waitFor();
    isMended.list = true;
    await page.getByRole("button", { name: "Try again" }).focus();
    await page.getByRole("alert").getByText("Something went wrong here.").waitFor({ state: "detached" });
    await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe("Prints");
    await lamp(page, "live").waitFor();
    await page.getByText("That is all.").or(page.getByText("Nothing on the line yet")).waitFor();
  });

  /** A page whose network can be made dead: then no socket opens, and a socket that is open already does not notice. */
  async function deadable(): Promise<{ isDead: boolean }> {
    const network = { isDead: false };
    await page.routeWebSocket(/\/api\/events/, (socket) => {
      if (network.isDead) void socket.close({ code: 1011 });
      else socket.connectToServer();
    });
    await page.goto(product.baseUrl);
    await lamp(page, "live").waitFor();
    return network;
  }

  it("shows at once that the network is lost, and is live at once when it is back", async () => {
    const network = await deadable();
    await page.getByText("starts at once").waitFor();
    network.isDead = true;
    await page.context().setOffline(true);
    await lamp(page, "reconnecting").waitFor();
    expect(await page.getByText("starts at once").count()).toBe(0);
    await page.getByText("The server is out of reach").waitFor();
    network.isDead = false;
    await page.context().setOffline(false);
    await lamp(page, "live").waitFor();
    await develop(page, "sent once it was back");
    await card(page, "sent once it was back").locator("img[data-developed]").waitFor();
  });

  it("reopens the feed when a call gets no answer", async () => {
    const network = await deadable();
    await develop(page, "before calls fail");
    await card(page, "before calls fail").locator("img[data-developed]").waitFor();
    network.isDead = true;
    await page.route(`${product.baseUrl}/api/**`, (route) => route.abort("connectionfailed"));
    await develop(page, "into the void");
    await lamp(page, "reconnecting").waitFor();
    network.isDead = false;
    await page.unroute(`${product.baseUrl}/api/**`);
    await lamp(page, "live").waitFor();
  });

  it("reopens a job's own connection when the network comes back", async () => {
    await product.emulator.addFault(hold("through a dead zone"));
    await develop(page, "through a dead zone");
    await product.emulator.untilHeld("through a dead zone");
    let isDead = false;
    await page.routeWebSocket(/\/api\/jobs\//, (socket) => {
      const server = socket.connectToServer();
      server.onMessage((message) => !isDead && socket.send(message));
    });
    const address = await page.getByRole("link", { name: "through a dead zone" }).first().getAttribute("href");
    await page.goto(new URL(address ?? "", product.baseUrl).href);
    await lamp(page, "live").waitFor();
    await page.getByText("Developing").first().waitFor();
    // The frames of the present connection are lost; the next connection works.
    isDead = true;
    await page.context().setOffline(true);
    await lamp(page, "reconnecting").waitFor();
    await product.emulator.release("through a dead zone");
    isDead = false;
    await page.context().setOffline(false);
    await page.getByRole("link", { name: "Download" }).waitFor();
    await lamp(page, "live").waitFor();
  });

  it("says when it no longer follows a job, and follows it again after a reload", async () => {
    await product.emulator.addFault(hold("given up"));
    await develop(page, "given up halfway");
    await product.emulator.untilHeld("given up");
    await page.routeWebSocket(/\/api\/jobs\//, (socket) => socket.send("what no Darkroom says"));
    const address = await page.getByRole("link", { name: "given up halfway" }).first().getAttribute("href");
    await page.goto(new URL(address ?? "", product.baseUrl).href);
    await page.getByRole("alert").getByText("This page follows the job no longer.").waitFor();
    await lamp(page, "closed").waitFor();
    await expectAccessible(page);
    await screenshot(page, "product-given-up");
    await page.routeWebSocket(/\/api\/jobs\//, (socket) => void socket.connectToServer());
    await page.getByRole("button", { name: "Load again" }).click();
    await lamp(page, "live").waitFor();
    await product.emulator.release("given up");
    await page.getByRole("link", { name: "Download" }).waitFor();
  });

  it("announces to screen readers that a job is ready", async () => {
    await develop(page, "told aloud");
    await page.getByRole("status").getByText("“told aloud” is ready").waitFor({ state: "attached" });
  });

  it("fetches older jobs on scrolling, without a layout shift", async () => {
    const prompts = Array.from({ length: 30 }, (_, index) => `on a long wall ${index + 1}`);
    await Promise.all(
      prompts.map((prompt) =>
        fetch(`${product.baseUrl}/api/workflows/image-from-text`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ prompt }),
        }),
      ),
    );
    await until("all jobs to be done", async () => {
      const active = await fetch(`${product.baseUrl}/api/jobs?status=queued,running,retrying`);
      const { jobs } = (await active.json()) as { jobs: unknown[] };
      return jobs.length === 0 || undefined;
    });
    await page.goto(product.baseUrl);
    await page.getByText("on a long wall").first().waitFor();
    await page.evaluate(() => {
      const shifts: Shift[] = [];
      Object.assign(window, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as LayoutShift[]) {
          const what = entry.sources.map(({ node }) => (node instanceof Element ? node.outerHTML : "").slice(0, 120));
          if (!entry.hadRecentInput) shifts.push({ value: entry.value, what: what.join(" ") });
        }
      }).observe({ type: "layout-shift", buffered: true });
    });
    // Only cards near the window are in the document.
    const seen: string[] = [];
    await until("the end of the wall", async () => {
      seen.push(...(await page.getByRole("article").getByRole("link").allInnerTexts()));
      await page.mouse.wheel(0, 400);
      return ((await page.getByText("That is all.").isVisible()) && (await isAtEnd(page))) || undefined;
    });
    seen.push(...(await page.getByRole("article").getByRole("link").allInnerTexts()));
    expect(prompts.filter((prompt) => !seen.includes(prompt))).toEqual([]);
    const shifts = await page.evaluate(() => (window as unknown as { shifts: Shift[] }).shifts);
    // A shift above 0.1 is noticeable (web.dev, CLS).
    const total = shifts.reduce((sum, { value }) => sum + value, 0);
    expect(total, JSON.stringify(shifts)).toBeLessThan(0.1);
    await choose(page, "Ready");
    expect(new URL(page.url()).search).toBe("?show=ready");
  });
});
