import { createHash } from "node:crypto";
import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, BrowserContextOptions, Page, Route } from "playwright-core";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ConnectionState } from "../client/follow.ts";
import type { FaultRuleInput } from "../emulator/core/fault.ts";
import { PROBLEMS, type ProblemCode } from "../schemas/problem.ts";
import { complaintsOf, imagesInSight, launchBrowser, overflowOf, screenshot } from "./support/browser.ts";
import { type Product, startProduct } from "./support/product.ts";
import { until } from "./support/until.ts";

/** The page as people use it: a real browser, the real Worker, the emulator as upstream. */

/** Short, so that an attempt which died with the Worker is found soon; long beside what the emulator takes. */
const BUDGET = { QWEN_TIMEOUT_MS: "10000" };

let browser: Browser;
let product: Product;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  const emulator = { images: "drawn", latencyMs: 400 } as const;
  [browser, product] = await Promise.all([launchBrowser(), startProduct({ emulator, env: BUDGET })]);
});
afterAll(async () => {
  await browser?.close();
  await product?.stop();
});
beforeEach(async () => {
  page = await openPage();
});
afterEach(async () => {
  await page?.context().close();
  await product.emulator.clearFaults();
});

async function openPage(options: BrowserContextOptions = {}, path = "/"): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
    ...options,
  });
  const opened = await context.newPage();
  opened.setDefaultTimeout(30_000);
  complaints = complaintsOf(opened);
  await opened.goto(`${product.baseUrl}${path}`);
  return opened;
}

async function develop(on: Page, prompt: string): Promise<void> {
  await on.getByLabel("Prompt", { exact: true }).fill(prompt);
  await on.getByRole("button", { name: "Develop" }).click();
}

function card(on: Page, prompt: string) {
  return on.getByRole("article").filter({ hasText: prompt });
}

/** What a browser reports of a shift; not in TypeScript's own library. */
interface LayoutShift extends PerformanceEntry {
  readonly value: number;
  readonly hadRecentInput: boolean;
  readonly sources: readonly { readonly node: Node | null }[];
}

interface Shift {
  readonly value: number;
  /** The elements that moved, as far as they tell which. */
  readonly what: string;
}

/** The lamp in the header, in one of its states. */
function lamp(on: Page, state: ConnectionState) {
  return on.locator(`header [data-state="${state}"]`);
}

/** The radio itself is out of sight; people press the label drawn for it. */
async function choose(on: Page, name: string): Promise<void> {
  const radio = on.getByRole("radio", { name, exact: true });
  await on.locator("label", { has: radio }).click();
  expect(await radio.isChecked()).toBe(true);
}

function hold(prompt: string): FaultRuleInput {
  return { match: { prompt }, times: 1, fault: { type: "hold", at: "arrival" } };
}

/** Answers in the server's place with one of its problems. */
function refuse(route: Route, code: ProblemCode, headers: Record<string, string> = {}): Promise<void> {
  const [status, title] = PROBLEMS[code];
  const problem = { type: "about:blank", title, status, detail: "Said by the test.", code, requestId: "req_test" };
  return route.fulfill({ status, headers, contentType: "application/problem+json", body: JSON.stringify(problem) });
}

async function expectAccessible(on: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page: on }).analyze();
  expect(violations.map(({ id, nodes }) => ({ id, at: nodes.map(({ html }) => html) }))).toEqual([]);
}

async function imagesMade(prompt: string): Promise<number> {
  return (await product.emulator.ledger(prompt)).images.length;
}

describe("a prompt", () => {
  it("becomes an image that is shown in its shape, opened, enlarged and downloaded", async () => {
    await page.getByText("Nothing on the line yet").waitFor();
    await expectAccessible(page);
    await product.emulator.addFault(hold("a red bicycle"));
    await choose(page, "9:16 928×1664");
    await develop(page, "a red bicycle in the rain");
    await card(page, "a red bicycle").getByText("Developing").waitFor();
    const blank = await card(page, "a red bicycle").locator("[data-tone]").first().boundingBox();
    await product.emulator.release("a red bicycle");
    const image = card(page, "a red bicycle").locator("img[data-developed]");
    await image.waitFor();
    const box = await image.boundingBox();
    expect((box?.width ?? 0) / (box?.height ?? 1)).toBeCloseTo(928 / 1664, 1);
    expect([Math.round(box?.x ?? -1), Math.round(box?.y ?? -1)]).toEqual([
      Math.round(blank?.x ?? -2),
      Math.round(blank?.y ?? -2),
    ]);

    await page.getByRole("link", { name: "a red bicycle in the rain" }).first().click();
    await page.getByRole("heading", { level: 1, name: "Job: a red bicycle in the rain" }).waitFor();
    expect(new URL(page.url()).pathname).toMatch(/^\/jobs\/job_/);
    await imagesInSight(page);
    await screenshot(page, "product-job");
    await expectAccessible(page);

    const downloading = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download" }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).toMatch(/^a-red-bicycle-in-the-rain-.+\.png$/);
    const saved = await download.path();
    expect(await sharp(saved).metadata()).toMatchObject({ format: "png", width: 928, height: 1664 });

    await page.getByRole("button", { name: "Enlarge the image" }).click();
    const viewer = page.getByRole("dialog");
    await viewer.getByRole("button", { name: "Close" }).waitFor();
    await page.keyboard.press("1");
    await viewer.getByText("100 %").waitFor();
    await screenshot(page, "product-viewer");
    await expectAccessible(page);
    await page.keyboard.press("Escape");
    await viewer.waitFor({ state: "hidden" });
    expect(complaints).toEqual([]);
  });

  it("makes one job when it is sent twice by accident", async () => {
    await page.getByLabel("Prompt", { exact: true }).fill("pressed in a hurry");
    await page.getByRole("button", { name: "Develop" }).dblclick();
    await page.getByLabel("Prompt", { exact: true }).press("Control+Enter");
    await card(page, "pressed in a hurry").locator("img[data-developed]").waitFor();
    expect(await card(page, "pressed in a hurry").count()).toBe(1);
    expect(await imagesMade("pressed in a hurry")).toBe(1);
  });

  it("is the same submission after a reload, when its answer was lost", async () => {
    const submits = "**/api/workflows/image-from-text";
    await page.route(submits, async (route) => {
      await route.fetch();
      await route.abort();
    });
    await page.getByLabel("Prompt", { exact: true }).fill("answer lost on the way");
    await page.getByRole("button", { name: "Develop" }).click();
    await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
    await page.unroute(submits);
    await page.reload();
    expect(await page.getByLabel("Prompt", { exact: true }).inputValue()).toBe("answer lost on the way");
    await page.getByRole("button", { name: "Develop" }).click();
    await page.getByRole("button", { name: "In line" }).waitFor();
    await card(page, "answer lost").locator("img[data-developed]").waitFor();
    expect(await card(page, "answer lost").count()).toBe(1);
    expect(await imagesMade("answer lost on the way")).toBe(1);
  });

  it("is the same submission still, when the press after a lost answer was turned away", async () => {
    const submits = "**/api/workflows/image-from-text";
    const develop = page.getByRole("button", { name: "Develop" });
    await page.route(submits, async (route) => {
      await route.fetch();
      await route.abort();
    });
    await page.getByLabel("Prompt", { exact: true }).fill("turned away in between");
    await develop.click();
    await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
    await page.unroute(submits);
    // Longer than the page waits by itself, so that the person hears of it.
    await page.route(submits, (route) => refuse(route, "rate_limited", { "retry-after": "60" }), { times: 1 });
    await develop.click();
    await page.getByRole("alert").getByText("Too many requests").waitFor();
    await develop.click();
    await page.getByRole("button", { name: "In line" }).waitFor();
    await card(page, "turned away").locator("img[data-developed]").waitFor();
    expect(await card(page, "turned away").count()).toBe(1);
    expect(await imagesMade("turned away in between")).toBe(1);
  });

  it("is warned of what upstream would cut, and keeps its draft over a reload", async () => {
    const prompt = `${"many words ".repeat(72)}and the cut tail`;
    await page.getByLabel("Prompt", { exact: true }).fill(prompt);
    await page.getByText(/Upstream would silently cut the last \d+ characters, from “/).waitFor();
    await page.getByText("More options").click();
    await page.getByLabel("Negative prompt").fill("fog");
    await page.getByLabel("Seed", { exact: true }).fill("42");
    await page.reload();
    expect(await page.getByLabel("Prompt", { exact: true }).inputValue()).toBe(prompt);
    expect(await page.getByLabel("Negative prompt").inputValue()).toBe("fog");
    expect(await page.getByLabel("Seed", { exact: true }).inputValue()).toBe("42");
    await page.getByText("As a curl line").click();
    await page.getByText("curl -sS").waitFor();
    await expectAccessible(page);
    await screenshot(page, "product-compose");
  });

  it("is refused before it is sent when nothing is said, and the field gets the focus", async () => {
    await page.getByRole("button", { name: "Develop" }).click();
    await page.getByText("Say what to draw.").waitFor();
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("prompt");
  });
});

describe("reference images", () => {
  it("are uploaded, shown, ordered, and found again for the next try", async () => {
    const png = await sharp({ create: { width: 600, height: 400, channels: 3, background: "#c46" } })
      .png()
      .toBuffer();
    await choose(page, "From reference");
    await page.getByRole("button", { name: "Develop" }).click();
    await page.getByText("Add a reference image.").waitFor();
    await page.getByTestId("reference-file").setInputFiles({ name: "bag.png", mimeType: "image/png", buffer: png });
    await page.getByRole("img", { name: "bag.png" }).waitFor();
    await bringImage(page, "paste", "logo.png", "#246");
    await page.getByRole("img", { name: "logo.png" }).waitFor();
    await bringImage(page, "drop", "strap.png", "#4a6");
    await page.getByRole("img", { name: "strap.png" }).waitFor();
    await page.getByRole("button", { name: "Remove image 3, strap.png" }).click();
    await page.getByRole("button", { name: "Move image 2 to the front by one" }).click();
    await page.getByRole("button", { name: "Remove image 1, logo.png" }).click();
    await page
      .getByTestId("reference-file")
      .setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no image") });
    await page.getByText("notes.txt is not an image that upstream takes").waitFor();
    await page.reload();
    await page.getByRole("img", { name: "bag.png" }).waitFor();
    await expectAccessible(page);
    await page.getByLabel("What to change").fill("give the bag a blue strap");
    await page.getByRole("button", { name: "Develop" }).click();
    await card(page, "blue strap").locator("img[data-developed]").waitFor();
    await screenshot(page, "product-reference");

    await page.getByRole("link", { name: "give the bag a blue strap" }).first().click();
    await page.getByText("PNG, 600×400").waitFor();
    await page.evaluate(() => localStorage.clear());
    await page.getByRole("button", { name: "Again with changes" }).click();
    await page.getByRole("img", { name: "bag.png" }).waitFor();
    expect(await page.getByLabel("What to change").inputValue()).toBe("give the bag a blue strap");
    expect(complaints).toEqual([]);
  });

  it("are taken by address, and a wrong one is named", async () => {
    await choose(page, "From reference");
    await page.getByLabel("Address of an image").fill("ftp://example.com/a.png");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByText("An address starts with https:// or http://.").waitFor();
    await page.getByLabel("Address of an image").fill("http://localhost:9/a.png");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByRole("button", { name: "Remove image 1, http://localhost:9/a.png" }).waitFor();
  });
});

describe("a job that does not go well", () => {
  it("says why it failed and what to do, and is tried again from the card", async () => {
    await product.emulator.addFault("moderation x1 prompt=too daring");
    await develop(page, "too daring for upstream");
    const failed = card(page, "too daring");
    await failed.getByRole("button", { name: "Try again" }).waitFor();
    await page.getByRole("link", { name: "too daring for upstream" }).first().click();
    await page.getByText("DataInspectionFailed").first().waitFor();
    await screenshot(page, "product-failed");
    await expectAccessible(page);
    await page.goBack();
    await failed.getByRole("button", { name: "Try again" }).click();
    await failed.locator("img[data-developed]").waitFor();
  });

  it("is canceled while it develops, sent back into the line, and deleted after a question", async () => {
    await product.emulator.addFault(hold("called off"));
    await develop(page, "called off halfway");
    await product.emulator.untilHeld("called off");
    await card(page, "called off").getByRole("button", { name: "Cancel" }).click();
    await card(page, "called off").getByText("Canceled").waitFor();
    await page.getByRole("link", { name: "called off halfway" }).first().click();
    await page.getByText("Upstream may have made, and charged, an image.").waitFor();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("link", { name: "Download" }).waitFor();

    await page.getByRole("button", { name: "Delete" }).click();
    const question = page.getByRole("alertdialog");
    await question.getByRole("button", { name: "Keep" }).waitFor();
    await expectAccessible(page);
    await question.getByRole("button", { name: "Keep" }).click();
    await question.waitFor({ state: "hidden" });
    const address = page.url();
    await page.getByRole("button", { name: "Delete" }).click();
    await question.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { name: "Prints" }).waitFor();
    expect(await card(page, "called off").count()).toBe(0);
    await page.goto(address);
    await page.getByRole("heading", { name: "This job is gone" }).waitFor();
  });
});

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

  it("says that the server is gone, and catches up by itself when it is back, with nothing missing", async () => {
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
    await lamp(page, "live").or(lamp(page, "polling")).waitFor();
    await card(page, "made while the page was cut off").locator("img[data-developed]").waitFor();
    // The attempt that died with the Worker is found at the end of its budget, and then repeated.
    await card(page, "carried over a restart").locator("img[data-developed]").waitFor({ timeout: 90_000 });
  }, 180_000);

  it("goes on by itself after refusals that hold no longer when the server is asked about them", async () => {
    await develop(page, "followed on and on");
    const link = page.getByRole("link", { name: "followed on and on" }).first();
    await card(page, "followed on and on").locator("img[data-developed]").waitFor();
    const address = new URL((await link.getAttribute("href")) ?? "", product.baseUrl);
    // The feed opens no socket at first, asks why, and is told what was true a moment ago; so are all the others.
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

  it("says so when it has given up on a job, and follows it again once it is loaded again", async () => {
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

  it("tells screen readers when a job is ready", async () => {
    await develop(page, "told aloud");
    await page.getByRole("status").getByText("“told aloud” is ready").waitFor({ state: "attached" });
  });

  it("fetches older jobs as one scrolls, without moving what is there", async () => {
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
    for (let pages = 0; pages < 20 && !(await page.getByText("That is all.").isVisible()); pages++) {
      await page.mouse.wheel(0, 4_000);
      await page.evaluate(() => new Promise(requestAnimationFrame));
    }
    await page.getByText("That is all.").waitFor();
    for (const prompt of prompts) expect(await page.getByRole("link", { name: prompt, exact: true }).count()).toBe(1);
    const shifts = await page.evaluate(() => (window as unknown as { shifts: Shift[] }).shifts);
    // 0.1 is where a shift begins to be felt (web.dev, CLS).
    const total = shifts.reduce((sum, { value }) => sum + value, 0);
    expect(total, JSON.stringify(shifts)).toBeLessThan(0.1);
    await choose(page, "Ready");
    expect(new URL(page.url()).search).toBe("?show=ready");
  });
});

describe("on other devices", () => {
  it.each([
    ["phone-dark", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" }],
    ["phone-light", { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true }],
  ] as const)("works on a %s", async (name, options) => {
    const phone = await openPage(options);
    await lamp(phone, "live").waitFor();
    await develop(phone, `from a ${name}`);
    await card(phone, `from a ${name}`).locator("img").scrollIntoViewIfNeeded();
    await card(phone, `from a ${name}`).locator("img[data-developed]").waitFor();
    await screenshot(phone, `product-${name}`);
    await expectAccessible(phone);
    expect(await overflowOf(phone)).toBe(0);
    await phone.context().close();
  });

  it("can be used by keyboard alone", async () => {
    await lamp(page, "live").waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to content");
    await page.getByLabel("Prompt", { exact: true }).focus();
    await page.keyboard.type("typed and sent by keyboard");
    await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ControlOrMeta+Enter");
    const link = page.getByRole("link", { name: "typed and sent by keyboard" }).first();
    await link.waitFor();
    await link.focus();
    // The card is the same from the line to the image: the focus stays where it is.
    await card(page, "typed and sent by keyboard").locator("img[data-developed]").waitFor();
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("typed and sent by keyboard");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Job: typed and sent by keyboard" }).waitFor();
    await page.getByText("1472×1104", { exact: true }).first().waitFor();
  });
});

describe("the lanes", () => {
  it("show quota, pace and what is in line", async () => {
    await page.getByRole("link", { name: "Lanes" }).click();
    const lane = page.getByRole("article").filter({ hasText: "qwen-image-max" }).first();
    await lane.getByText("Quota").waitFor();
    await expectAccessible(page);
    await screenshot(page, "product-lanes");
  });
});

describe("the built page", () => {
  it("comes with a strict content policy, and its routes lead to it", async () => {
    const response = await fetch(`${product.baseUrl}/jobs/job_AAAAAAAAAAAAAAAAAAAAA`, {
      headers: { accept: "text/html" },
    });
    expect(response.status).toBe(200);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*/);
  });

  it("loads under 150 KB of script, compressed, and asks no other host", async () => {
    const hosts = new Set<string>();
    const sizes: number[] = [];
    const fresh = await (await browser.newContext()).newPage();
    fresh.on("request", (request) => hosts.add(new URL(request.url()).host));
    const { gzipSync } = await import("node:zlib");
    fresh.on("response", (response) => {
      if (response.request().resourceType() !== "script") return;
      void response.body().then((body) => sizes.push(gzipSync(body).length));
    });
    await fresh.goto(product.baseUrl);
    await lamp(fresh, "live").waitFor();
    await fresh.waitForLoadState("networkidle");
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(total).toBeGreaterThan(10_000);
    expect(total).toBeLessThan(150_000);
    expect([...hosts]).toEqual([new URL(product.baseUrl).host]);
    await fresh.context().close();
  });
});

/** An event that brings an image, as a paste or a drop does. */
async function bringImage(on: Page, how: "paste" | "drop", name: string, background: string): Promise<void> {
  const png = await sharp({ create: { width: 300, height: 300, channels: 3, background } })
    .png()
    .toBuffer();
  await on.evaluate(
    ([kind, file, base64]) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], file, { type: "image/png" }));
      const options = { bubbles: true, cancelable: true };
      const event =
        kind === "paste"
          ? new ClipboardEvent(kind, { ...options, clipboardData: transfer })
          : new DragEvent(kind, { ...options, dataTransfer: transfer });
      document.querySelector("form")?.dispatchEvent(event);
    },
    [how, name, png.toString("base64")] as const,
  );
}

describe("a short quota", () => {
  let slow: Product;

  beforeAll(async () => {
    slow = await startProduct({
      env: { LANE_LIMITS: JSON.stringify({ "qwen-image-max": { starts: 1, periodMs: 20_000 } }) },
    });
  });
  afterAll(() => slow?.stop());

  it("is told with the place in line and a countdown that goes on, and each card moves up", async () => {
    await page.goto(slow.baseUrl);
    await lamp(page, "live").waitFor();
    await page.getByText("1 start in 20 s for the whole account").waitFor();
    for (const prompt of ["first of three", "second of three", "third of three"]) {
      await develop(page, prompt);
      await card(page, prompt).waitFor();
    }
    await card(page, "first of three").locator("img[data-developed]").waitFor();
    // What is left on the third card, in seconds; undefined while it shows no countdown.
    const left = async () => {
      const text = await card(page, "third of three").innerText();
      const [, minutes = "0", seconds] = /starts in about (?:(\d+):)?(\d+)/.exec(text) ?? [];
      return seconds === undefined ? undefined : Number(minutes) * 60 + Number(seconds);
    };
    const before = await until("a countdown", left);
    await until("the countdown to go on", async () => ((await left()) ?? before) < before || undefined);
    // It is next from the start of the second on, and no longer once it starts itself: so it is looked for at once.
    await card(page, "third of three").getByText("Next in line").waitFor({ timeout: 60_000 });
    await card(page, "second of three").locator("img[data-developed]").waitFor({ timeout: 60_000 });
  }, 180_000);
});

describe("a Worker that is not set up", () => {
  it("gets a page that names what is missing, and opens by itself once it is mended", async () => {
    const broken = await startProduct({ env: { QWEN_REGION: "mars" } });
    try {
      await page.goto(broken.baseUrl);
      await page.getByRole("heading", { name: "Not set up yet" }).waitFor();
      await page.getByText("QWEN_REGION").waitFor();
      await expectAccessible(page);
      await broken.kill("worker");
      await broken.restart({ QWEN_REGION: "sg" });
      await page.getByRole("heading", { name: "Prints" }).waitFor();
    } finally {
      await broken.stop();
    }
  });
});

describe("signing in", () => {
  let guarded: Product;
  const OPERATOR_TOKEN = "dr_browser-test-operator";
  const token = "dr_browser-test-token";

  beforeAll(async () => {
    const hash = createHash("sha256").update(token).digest("hex");
    guarded = await startProduct({
      env: {
        AUTH_MODE: "token",
        CLIENT_TOKENS: JSON.stringify({ studio: hash }),
        ADMIN_TOKEN_SHA256: createHash("sha256").update(OPERATOR_TOKEN).digest("hex"),
        SIGNING_SECRET: "a signing secret for the browser test",
      },
    });
  });
  afterAll(() => guarded?.stop());

  it("lets in with a token only, shows images by session, and leaves no token behind", async () => {
    await page.goto(guarded.baseUrl);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await expectAccessible(page);
    await page.getByLabel("Token").fill("dr_wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This token is not known here.").waitFor();
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await lamp(page, "live").waitFor();
    await develop(page, "behind the door");
    await card(page, "behind the door").locator("img[data-developed]").waitFor();
    await page.getByRole("link", { name: "behind the door" }).first().click();
    await page.getByRole("link", { name: "Download" }).waitFor();
    const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie);
    expect(kept).not.toContain(token);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage }) + document.body.textContent)).not.toContain(
      "behind the door",
    );
    await page.goBack();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  });

  it("shows an operator everyone's jobs", async () => {
    await fetch(`${guarded.baseUrl}/api/workflows/image-from-text`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ prompt: "seen by the operator" }),
    });
    await page.goto(guarded.baseUrl);
    await page.getByLabel("Token").fill(OPERATOR_TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    await lamp(page, "polling").waitFor();
    await card(page, "seen by the operator").locator("img[data-developed]").waitFor();
  });

  it("keeps an operator's list up to date without a feed: what is deleted goes, and what is old goes on", async () => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
    const submit = async (prompt: string) => {
      const url = `${guarded.baseUrl}/api/workflows/image-from-text`;
      const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ prompt }) });
      return (await response.json()) as { id: string };
    };
    await guarded.emulator.addFault(hold("older than a page"));
    const oldest = await submit("older than a page of newer ones");
    await guarded.emulator.untilHeld("older than a page");
    const newer = await Promise.all(Array.from({ length: 24 }, (_, index) => submit(`newer ${index + 1}.`)));

    const sockets: string[] = [];
    const lists: string[] = [];
    page.on("websocket", (socket) => sockets.push(socket.url()));
    page.on("request", (request) => new URL(request.url()).pathname === "/api/jobs" && lists.push(request.url()));
    await page.goto(guarded.baseUrl);
    await page.getByLabel("Token").fill(OPERATOR_TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    await lamp(page, "polling").waitFor();
    const old = card(page, "older than a page");
    for (let pages = 0; pages < 20 && !(await old.isVisible()); pages++) {
      await page.mouse.wheel(0, 4_000);
      await page.evaluate(() => new Promise(requestAnimationFrame));
    }
    await old.scrollIntoViewIfNeeded();
    await guarded.emulator.release("older than a page");
    await old.locator("img[data-developed]").waitFor();
    await fetch(`${guarded.baseUrl}/api/jobs/${newer[0]?.id}`, { method: "DELETE", headers });
    await card(page, "newer 1.").waitFor({ state: "detached" });
    expect(await card(page, "newer 2.").count()).toBe(1);
    // Further down than the newest page, and finished.
    await fetch(`${guarded.baseUrl}/api/jobs/${oldest.id}`, { method: "DELETE", headers });
    await old.waitFor({ state: "detached" });
    const before = lists.length;
    await until("further rounds", async () => lists.length > before + 4 || undefined);
    expect(sockets).toHaveLength(1);
    expect(await lamp(page, "polling").count()).toBe(1);
  }, 120_000);
});
