import { gzipSync } from "node:zlib";
import type { Page, WebSocketRoute } from "playwright-core";
import sharp from "sharp";
import { beforeEach, describe, expect, it } from "vitest";
import type { ConnectionState } from "../../client/follow.ts";
import { overflowOf, screenshot } from "../support/browser.ts";
import { card, choose, develop, expectAccessible, hold, lamp, ownProduct, visitorOf } from "../support/page.ts";
import type { Product } from "../support/product.ts";
import { startScriptedServer } from "../support/scripted-server.ts";

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

describe("a job that does not go well", () => {
  it("says why it failed and what to do, and offers changes instead of a retry that would be refused", async () => {
    await product.emulator.addFault("moderation x1 prompt=too daring");
    await develop(page, "too daring for upstream");
    const failed = card(page, "too daring");
    await failed.getByText("Refused by the content check").waitFor();
    expect(await failed.getByRole("button", { name: "Try again" }).count()).toBe(0);
    await page.getByRole("link", { name: "too daring for upstream" }).first().click();
    await page.getByText("DataInspectionFailed").first().waitFor();
    await screenshot(page, "product-failed");
    await expectAccessible(page);
    expect(await page.getByRole("button", { name: "Try again" }).count()).toBe(0);
    await page.goBack();
    await page.getByLabel("Prompt", { exact: true }).fill("half a thought");
    await failed.hover();
    await failed.getByRole("button", { name: "Again with changes" }).click();
    await expect.poll(() => page.getByLabel("Prompt", { exact: true }).inputValue()).toBe("too daring for upstream");
    // The draft that was in the form is put aside.
    await page.getByText("“half a thought”").waitFor();
    await develop(page, "tame enough for upstream");
    await card(page, "tame enough").locator("img[data-developed]").waitFor();
    // It stays after another replacement and a reload.
    const prompt = () => page.getByLabel("Prompt", { exact: true }).inputValue();
    await failed.hover();
    await failed.getByRole("button", { name: "Again with changes" }).click();
    await expect.poll(prompt).toBe("too daring for upstream");
    await card(page, "tame enough").hover();
    await card(page, "tame enough").getByRole("button", { name: "Again with changes" }).click();
    await expect.poll(prompt).toBe("tame enough for upstream");
    await page.reload();
    // An unchanged draft of a job is not put aside.
    const aside = page.getByRole("list", { name: "Put aside" });
    await expect.poll(() => aside.getByRole("button", { name: "Bring back" }).allInnerTexts()).toHaveLength(2);
    await aside.getByText("“tame enough for upstream”").waitFor();
    await expectAccessible(page);
    await page.getByRole("button", { name: "Bring back “half a thought”" }).click();
    await expect.poll(prompt).toBe("half a thought");
    await aside
      .getByRole("button", { name: /^Forget “tame/ })
      .first()
      .click();
    await aside.getByRole("button", { name: /^Forget “tame/ }).click();
    await aside.waitFor({ state: "detached" });
  });

  it("is canceled while it runs, retried, and deleted after a question", async () => {
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

describe("a job with a webhook", () => {
  it("shows the state of each event, and sends one again", async () => {
    const receiver = await startScriptedServer({
      answer: (_request, n) => ({ status: n === 1 ? 410 : 200, body: "no more" }),
    });
    try {
      const body = JSON.stringify({ prompt: "told elsewhere", webhook: { url: `${receiver.baseUrl}/hook` } });
      const headers = { "content-type": "application/json", prefer: "wait=30" };
      const answer = await fetch(`${product.baseUrl}/api/workflows/image-from-text`, { method: "POST", headers, body });
      const { id } = (await answer.json()) as { id: string };
      await page.goto(`${product.baseUrl}/jobs/${id}`);
      await page.getByText("job.succeeded not wanted").waitFor();
      await page.getByText("1 try, the last answered 410").waitFor();
      await expectAccessible(page);
      await page.getByRole("button", { name: "Send again" }).click();
      await page.getByText("job.succeeded delivered").waitFor();
      expect(receiver.requests).toHaveLength(2);
    } finally {
      await receiver.close();
    }
  });

  it("is not read every second for an event that waits for an earlier one", async () => {
    const atMs = Date.now();
    const at = new Date(atMs).toISOString();
    const event = {
      ...{ type: "job.succeeded", url: "https://example.com/hook", state: "pending", reason: null, createdAt: at },
      ...{ tries: [], nextTryAt: null },
    };
    const failed = { number: 1, startedAt: at, finishedAt: at, durationMs: 7, status: 503, error: "answered 503" };
    const earlier = { ...event, type: "job.failed", tries: [{ ...failed, answer: "" }] };
    const deliveries = [
      { ...earlier, number: 5, id: "job.5", nextTryAt: new Date(atMs + 86_400_000).toISOString() },
      { ...event, number: 9, id: "job.9" },
    ];
    let asked = 0;
    await page.route("**/deliveries", (route) => {
      asked += 1;
      return route.fulfill({ json: { webhook: null, deliveries } });
    });
    await page.clock.install();
    const headers = { "content-type": "application/json", prefer: "wait=30" };
    const body = JSON.stringify({ prompt: "one event waits" });
    const answer = await fetch(`${product.baseUrl}/api/workflows/image-from-text`, { method: "POST", headers, body });
    const { id } = (await answer.json()) as { id: string };
    await page.goto(`${product.baseUrl}/jobs/${id}`);
    await page.getByText("job.succeeded is being sent").waitFor();
    const before = asked;
    await page.clock.fastForward(5_000);
    // A request that the page has already sent would be counted before this one.
    await page.evaluate(() => fetch("/api/health").then((response) => response.text()));
    expect(asked).toBe(before);
    await page.clock.fastForward(10_000);
    await expect.poll(() => asked, { timeout: 60_000 }).toBeGreaterThan(before);
  });
});

/** The label or the text of the focused element. */
function focused(on: Page): Promise<string> {
  return on.evaluate(() => {
    const { activeElement: element } = document;
    return element?.getAttribute("aria-label") ?? element?.textContent ?? "";
  });
}

describe("the keyboard focus", () => {
  it("stays on the pressed button of a card, or moves to the card when the button is removed", async () => {
    await product.emulator.addFault(hold("kept on a card"));
    await develop(page, "kept on a card");
    await product.emulator.untilHeld("kept on a card");
    const job = card(page, "kept on a card");
    await job.getByRole("button", { name: "Cancel" }).focus();
    await page.keyboard.press("Enter");
    await job.getByText("Canceled").waitFor();
    await expect.poll(() => focused(page)).toBe("Try again: kept on a card");
    await page.keyboard.press("Enter");
    await job.locator("img[data-developed]").waitFor();
    await expect.poll(() => focused(page)).toBe("kept on a card");

    await product.emulator.addFault(hold("kept in a list"));
    await develop(page, "kept in a list");
    await product.emulator.untilHeld("kept in a list");
    await choose(page, "In progress");
    await card(page, "kept in a list").getByRole("button", { name: "Cancel" }).focus();
    await page.keyboard.press("Enter");
    await card(page, "kept in a list").waitFor({ state: "detached" });
    await expect.poll(() => focused(page)).toBe("Prints");
  });

  it("stays on the pressed button of the job's page, or moves to the state when the button is removed", async () => {
    await product.emulator.addFault(hold("kept on its page"));
    await develop(page, "kept on its page");
    await product.emulator.untilHeld("kept on its page");
    await page.getByRole("link", { name: "kept on its page" }).first().click();
    await expect.poll(() => focused(page)).toBe("Job: kept on its page");
    await page.getByRole("button", { name: "Cancel" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Try again" }).waitFor();
    await expect.poll(() => focused(page)).toBe(" Try again");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "Download" }).waitFor();
    await expect.poll(() => focused(page)).toBe("Ready");
  });
});

describe("a press", () => {
  const messages = () => page.getByRole("region", { name: "Messages" });

  it("on Try again works before Cancel is answered, and the late answer changes nothing", async () => {
    await product.emulator.addFault(hold("canceled slowly"));
    await develop(page, "canceled slowly");
    await product.emulator.untilHeld("canceled slowly");
    await page.getByRole("link", { name: "canceled slowly" }).first().click();
    const released = Promise.withResolvers<void>();
    await page.route("**/cancel", async (route) => {
      const response = await route.fetch();
      await released.promise;
      await route.fulfill({ response });
    });
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("link", { name: "Download" }).waitFor();

    const answered = page.waitForResponse("**/cancel");
    released.resolve();
    await answered;
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    expect(await page.getByRole("link", { name: "Download" }).count()).toBe(1);
    expect(await page.getByRole("button", { name: "Try again" }).count()).toBe(0);
    expect(await messages().innerText()).not.toContain("Canceled");
  });

  it("counts once while the key is held", async () => {
    await product.emulator.addFault(hold("held down"));
    await develop(page, "held down");
    await product.emulator.untilHeld("held down");
    await card(page, "held down").getByRole("button", { name: "Cancel" }).focus();
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.keyboard.down("Enter");
    await card(page, "held down").getByRole("button", { name: "Try again" }).waitFor();
    await messages().getByText("Canceled").waitFor();
    for (let repeat = 0; repeat < 5; repeat += 1) await page.keyboard.down("Enter");
    await page.keyboard.up("Enter");
    await expect.poll(() => focused(page)).toBe("Try again: held down");
    expect(asked.filter((url) => /\/(cancel|retry)$/.test(url))).toHaveLength(1);
  });
});

describe("a job's page", () => {
  it("stays as wide as its window with the raw JSON unfolded", async () => {
    await develop(page, "a word and another ".repeat(78).trim());
    await page
      .getByRole("link", { name: /^a word and another/ })
      .first()
      .click();
    await page.getByText("Raw JSON").click();
    await page.getByText('"promptExtend"').waitFor();
    await expect.poll(() => overflowOf(page)).toBe(0);
    await page.setViewportSize({ width: 360, height: 640 });
    await expect.poll(() => overflowOf(page)).toBe(0);
  });

  it("stays as wide as a narrow window while no live feed opens, and says so in whole words", async () => {
    const hiddenPartOf = (state: ConnectionState) =>
      lamp(page, state)
        .locator("span")
        .nth(1)
        .evaluate((words) => words.scrollWidth - words.clientWidth);
    const sockets: WebSocketRoute[] = [];
    let isRefused = false;
    await page.routeWebSocket(/\/api\//, (socket) => {
      if (isRefused) socket.close();
      else sockets.push(socket);
    });
    await page.setViewportSize({ width: 360, height: 640 });
    await page.reload();
    await lamp(page, "connecting").waitFor();
    await expect.poll(() => overflowOf(page)).toBe(0);
    await expect.poll(() => hiddenPartOf("connecting")).toBe(0);
    isRefused = true;
    for (const socket of sockets) socket.close();
    await lamp(page, "polling").waitFor();
    await expect.poll(() => overflowOf(page)).toBe(0);
    await expect.poll(() => hiddenPartOf("polling")).toBe(0);
  });
});

describe("a part of the page that cannot be loaded", () => {
  it.each([
    ["Enlarge the image", "dialog"],
    ["Delete", "alertdialog"],
  ] as const)("for %s does not change the page, causes a notice, and loads after a reload", async (name, role) => {
    await develop(page, `out of reach for ${role}`);
    await page
      .getByRole("link", { name: `out of reach for ${role}` })
      .first()
      .click();
    await page.getByRole("link", { name: "Download" }).waitFor();
    const parts = /(viewer|confirm-dialog)-[^/]+\.js$/;
    await page.route(parts, (route) => route.abort());
    await page.getByRole("button", { name }).click();
    const messages = page.getByRole("region", { name: "Messages" });
    await messages.getByText("A part of the page could not be loaded. Load the page again").waitFor();
    await page.getByRole("link", { name: "Download" }).waitFor();
    await page.unroute(parts);
    await page.reload();
    await page.getByRole("button", { name }).click();
    await page.getByRole(role).waitFor();
  });
});

describe("the history of a job", () => {
  it("is shown with the reason why an attempt failed", async () => {
    await product.emulator.addFault("cut-after-billing x1 prompt=cut and told");
    await develop(page, "cut and told");
    await page.getByRole("link", { name: "cut and told" }).first().click();
    const timeline = page.getByRole("region", { name: "What happened" });
    await timeline.getByText("The connection to DashScope broke before its answer came.").waitFor();
    await timeline.getByText("Delivered: copying 1 image").waitFor();
    await timeline.getByText("Images kept").waitFor();
  });

  it("is shown with the reason why delivered images were lost", async () => {
    await product.emulator.addFault("result-damaged prompt=lost and told");
    await develop(page, "lost and told");
    await page.getByRole("link", { name: "lost and told" }).first().click();
    const timeline = page.getByRole("region", { name: "What happened" });
    await timeline.getByText("Delivered: copying 1 image").waitFor();
    await timeline.getByText(/could not be copied before their links ended: .+cut off/).waitFor();
  });

  it("is shown beside the uploaded reference images", async () => {
    const png = await sharp({ create: { width: 600, height: 400, channels: 3, background: "#c46" } })
      .png()
      .toBuffer();
    await choose(page, "From reference");
    await page.getByTestId("reference-file").setInputFiles({ name: "bag.png", mimeType: "image/png", buffer: png });
    await page.getByLabel("What to change").fill("shown with its bag");
    await page.getByRole("button", { name: "Develop" }).click();
    await page.getByRole("link", { name: "shown with its bag" }).first().click();
    const thumb = page.getByRole("img", { name: /^Reference, PNG, 600×400/ });
    await thumb.waitFor();
    // The small variant that fits its drawn size.
    expect(await thumb.evaluate((image: HTMLImageElement) => image.decode().then(() => image.currentSrc))).toMatch(
      /\/inputs\/0\?w=320$/,
    );
    await expectAccessible(page);
  });
});

describe("on other devices", () => {
  it.each([
    ["phone-dark", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" }],
    ["phone-light", { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true }],
  ] as const)("works on a %s", async (name, options) => {
    const phone = await visitor.open(options);
    await lamp(phone, "live").waitFor();
    await develop(phone, `from a ${name}`);
    await card(phone, `from a ${name}`).locator("img").scrollIntoViewIfNeeded();
    await card(phone, `from a ${name}`).locator("img[data-developed]").waitFor();
    await screenshot(phone, `product-${name}`);
    await expectAccessible(phone);
    await expect.poll(() => overflowOf(phone)).toBe(0);

    await phone
      .getByRole("link", { name: `from a ${name}` })
      .first()
      .click();
    await phone.getByRole("button", { name: "Enlarge the image" }).click();
    const zoom = phone.getByRole("group", { name: "Zoom" });
    await zoom.getByRole("button", { name: "Close" }).waitFor();
    await screenshot(phone, `product-${name}-zoom`);
    const levels = await zoom
      .getByRole("button")
      .evaluateAll((buttons) => buttons.map((button) => button.getBoundingClientRect().top));
    expect(new Set(levels).size).toBe(1);
  });

  it("can be used by keyboard alone", async () => {
    await lamp(page, "live").waitFor();
    await page.keyboard.press("Tab");
    await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to content");
    await page.getByLabel("Prompt", { exact: true }).focus();
    await page.keyboard.type("typed and sent by keyboard");
    await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ControlOrMeta+Enter");
    const link = page.getByRole("link", { name: "typed and sent by keyboard" }).first();
    await link.waitFor();
    await link.focus();
    // The card is the same element from the line to the image, so the focus stays.
    await card(page, "typed and sent by keyboard").locator("img[data-developed]").waitFor();
    await expect
      .poll(() => page.evaluate(() => document.activeElement?.textContent))
      .toBe("typed and sent by keyboard");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Job: typed and sent by keyboard" }).waitFor();
    await page.getByText("1472×1104", { exact: true }).first().waitFor();
  });
});

describe("the lanes", () => {
  it("show quota, pace and what is in line", async () => {
    await page.getByRole("link", { name: "Lanes" }).click();
    const lane = page.getByRole("article").filter({ hasText: "qwen-image-max" }).first();
    await lane.getByText("Quota", { exact: true }).waitFor();
    await expectAccessible(page);
    await screenshot(page, "product-lanes");
  });

  it("show a lane that the operator paused, and why", async () => {
    await page.getByRole("link", { name: "Lanes" }).click();
    const lane = page.getByRole("article").filter({ hasText: "qwen-image-edit-max" }).first();
    const command = (name: string) =>
      fetch(`${own.product.baseUrl}/api/lanes/qwen-image-edit-max/${name}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ reason: "the account is being moved" }),
      });
    expect((await command("pause")).status).toBe(200);
    await lane.getByText("The operator has paused it: The account is being moved.").waitFor();
    expect((await command("resume")).status).toBe(200);
    await lane.getByText("Open", { exact: true }).waitFor();
  });

  it("let the doctor examine the deployment", async () => {
    await page.getByRole("link", { name: "Lanes" }).click();
    await page.getByRole("button", { name: "Examine the deployment" }).click();
    const checks = page.getByRole("region", { name: "Doctor" }).getByRole("listitem");
    for (const name of ["variables", "storage", "objects", "key"]) {
      await checks
        .filter({ has: page.getByRole("heading", { name, exact: true }) })
        .getByText("fine")
        .waitFor();
    }
    await expectAccessible(page);
  });
});

describe("the built page", () => {
  it("has a strict content policy, and its routes lead to it", async () => {
    const response = await fetch(`${product.baseUrl}/jobs/job_AAAAAAAAAAAAAAAAAAAAA`, {
      headers: { accept: "text/html" },
    });
    expect(response.status).toBe(200);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*/);
  });

  it.each([
    ["laptop", { viewport: { width: 1200, height: 800 } }],
    ["phone-dark", { viewport: { width: 390, height: 844 }, isMobile: true, colorScheme: "dark" }],
  ] as const)("describes the API readably on a %s", async (name, options) => {
    const reader = await visitor.open(options);
    await reader.goto(`${product.baseUrl}/api/docs`);
    await reader.getByRole("heading", { level: 1 }).waitFor();
    await screenshot(reader, `product-docs-${name}`);
    await expect.poll(() => overflowOf(reader)).toBe(0);
    await expectAccessible(reader);
    // No status is broken into several lines, as it is in a column that is too narrow.
    const statuses = reader.locator("td", { hasText: /^\d{3}$/ });
    const lines = await statuses.evaluateAll((cells) =>
      cells.map((cell) => {
        const text = document.createRange();
        text.selectNodeContents(cell);
        return text.getClientRects().length;
      }),
    );
    expect(lines.length).toBeGreaterThan(20);
    expect(new Set(lines)).toEqual(new Set([1]));
  });

  it("loads less than 150 KB of compressed script, and calls no other host", async () => {
    await lamp(page, "live").waitFor();
    await page.waitForLoadState("networkidle");
    const asked = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
    const scripts = asked.filter((address) => new URL(address).pathname.endsWith(".js"));
    const sizes = scripts.map(async (address) => gzipSync(await (await fetch(address)).bytes()).length);
    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    expect(total).toBeGreaterThan(50_000);
    expect(total).toBeLessThan(150_000);
    expect(new Set(asked.map((address) => new URL(address).host))).toEqual(new Set([new URL(product.baseUrl).host]));
  });
});
