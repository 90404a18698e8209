import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Job, JobList, Share } from "../../schemas/job.ts";
import { screenshot } from "../support/browser.ts";
import { card, choose, develop, expectAccessible, hold, lamp, ownProduct, visitorOf } from "../support/page.ts";
import { type Product, startProduct } from "../support/product.ts";
import { until } from "../support/until.ts";

/** What people do with many prints: find them, choose them, look through them, and use one again. */

const own = ownProduct({ emulator: { images: "drawn", latencyMs: 200 }, env: { QWEN_TIMEOUT_MS: "10000" } });
const visitor = visitorOf(() => own.product.baseUrl);

let product: Product;
let page: Page;
beforeEach(() => {
  product = own.product;
  page = visitor.page;
});

interface Submitted {
  readonly id: string;
}

async function submit(prompt: string, more: object = {}): Promise<Submitted> {
  const response = await fetch(`${product.baseUrl}/api/workflows/image-from-text`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt, ...more }),
  });
  return (await response.json()) as Submitted;
}

const promptField = () => page.getByLabel("Prompt", { exact: true });
const ready = (prompt: string, on = page) => card(on, prompt).locator("img[data-developed]").first();
const focusedText = () =>
  page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");

/** One more tab of the same browser. */
async function anotherTab(): Promise<Page> {
  const tab = await page.context().newPage();
  tab.setDefaultTimeout(60_000);
  return tab;
}

describe("a search", () => {
  it("finds prompts of any script by their words, also beyond the part that cards show", async () => {
    await submit(`${"a long way through fields ".repeat(10)}to the lighthouse`);
    await submit("一辆红色的自行车，雨中");
    await submit("دراجة حمراء تحت المطر");
    await submit("Café at noon");
    await ready("Café at noon").waitFor();
    const search = page.getByLabel("Search prompts");
    const found = async (words: string, prompt: string) => {
      await search.fill(words);
      await until(`only ${prompt}`, async () => {
        const shown = await page.locator("article h4 a").allInnerTexts();
        return (shown.length === 1 && shown[0]?.includes(prompt)) || undefined;
      });
    };
    await page.keyboard.press("/");
    await expect.poll(() => search.evaluate((element) => element === document.activeElement)).toBe(true);
    await found("lighthouse", "a long way");
    await found("自行车", "一辆红色");
    await found("حمراء", "دراجة");
    await found("CAFE", "Café at noon");
    expect(new URL(page.url()).searchParams.get("q")).toBe("CAFE");
    await search.fill("nothing of the kind");
    await page.getByText("No job matches").waitFor();
    await expectAccessible(page);
    await page.getByRole("button", { name: "Show all jobs" }).click();
    await card(page, "一辆红色").waitFor();
    await expect.poll(() => search.inputValue()).toBe("");
    // A pause after a space does not change the typed text.
    await search.pressSequentially("long ");
    await page.waitForURL(/[?]q=long$/);
    await search.pressSequentially("way");
    await page.waitForURL(/[?]q=long(?:[+]|%20)way$/);
    await expect.poll(() => search.inputValue()).toBe("long way");
    await search.fill("");
    await card(page, "一辆红色").waitFor();
  });

  it("is narrowed by metadata and by state, with counts", async () => {
    await submit("of the autumn", { metadata: { campaign: "autumn" } });
    await submit("of the spring", { metadata: { campaign: "spring" } });
    await ready("of the spring").waitFor();
    await page.getByRole("button", { name: "Filter" }).click();
    const metadata = page.getByLabel("Metadata");
    await metadata.locator("option", { hasText: "campaign: autumn (1)" }).waitFor({ state: "attached" });
    await expectAccessible(page);
    await metadata.selectOption({ value: "campaign=autumn" });
    await card(page, "of the spring").waitFor({ state: "detached" });
    await card(page, "of the autumn").waitFor();
    await page.reload();
    await card(page, "of the autumn").waitFor();
    expect(await card(page, "of the spring").count()).toBe(0);
    await page.locator("label", { hasText: "Ready" }).getByText("1", { exact: true }).waitFor();
  });
});

describe("choosing", () => {
  it("takes a range with Shift, all with Ctrl+A, saves their images as one zip, and deletes them after a question", async () => {
    for (const name of ["one", "two", "three"]) await submit(`chosen ${name}`);
    await page.goto(`${product.baseUrl}/?q=chosen`);
    for (const name of ["one", "two", "three"]) await ready(`chosen ${name}`).waitFor();
    await page.evaluate(() => Reflect.deleteProperty(window, "showSaveFilePicker"));
    await card(page, "chosen three").hover();
    await card(page, "chosen three").getByRole("checkbox").click();
    await card(page, "chosen one")
      .getByRole("link")
      .click({ modifiers: ["Shift"] });
    const bar = page.getByRole("region", { name: "Selected jobs" });
    await bar.getByText("3 jobs selected").waitFor();
    await expectAccessible(page);
    await screenshot(page, "product-selection");
    const downloading = page.waitForEvent("download");
    await bar.getByRole("button", { name: "Zip" }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).toMatch(/^darkroom .+ 3 images\.zip$/);
    const zip = await readFile(await download.path());
    const names = zip.toString("latin1").match(/chosen-(one|two|three)-\w+-1\.png/g) ?? [];
    expect(new Set(names).size).toBe(3);
    // The zip stores the images unchanged.
    expect(zip.includes(Buffer.from("\x89PNG\r\n\x1a\n", "latin1"))).toBe(true);

    await page.keyboard.press("Escape");
    await bar.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Select", exact: true }).click();
    await page.keyboard.press("Control+A");
    await bar.getByText("3 jobs selected").waitFor();
    await bar.getByRole("button", { name: "Delete" }).click();
    const question = page.getByRole("alertdialog");
    await question.getByText("Delete 3 jobs?").waitFor();
    await expectAccessible(page);
    await question.getByRole("button", { name: "Delete" }).click();
    await page.getByText("No job matches").waitFor();
  });

  it("starts with a long press on a touch screen; then a tap selects", async () => {
    await submit("pressed long");
    await submit("tapped after");
    const phone = await visitor.open({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
    await ready("pressed long", phone).waitFor();
    await card(phone, "pressed long").scrollIntoViewIfNeeded();
    const box = await card(phone, "pressed long").locator("h4").boundingBox();
    if (box === null) throw new Error("the card is not drawn");
    const session = await phone.context().newCDPSession(phone);
    const touchPoints = [{ x: box.x + 20, y: box.y + 10 }];
    await session.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints });
    const bar = phone.getByRole("region", { name: "Selected jobs" });
    await bar.getByText("1 job selected").waitFor();
    await session.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    await bar.getByText("1 job selected").waitFor();
    await card(phone, "tapped after").locator("h4").tap();
    await bar.getByText("2 jobs selected").waitFor();
    expect(new URL(phone.url()).pathname).toBe("/");
    await expectAccessible(phone);
  });
});

describe("many selected jobs", () => {
  it("are pinned, unpinned and deleted by one call each; the focus stays in the bar, then on the wall's heading", async () => {
    for (const name of ["one", "two", "three"]) await submit(`together ${name}`);
    await page.goto(`${product.baseUrl}/?q=together`);
    for (const name of ["one", "two", "three"]) await ready(`together ${name}`).waitFor();
    const changes: string[] = [];
    page.on("request", (request) => {
      if (request.method() !== "GET") changes.push(`${request.method()} ${new URL(request.url()).pathname}`);
    });
    await page.getByRole("checkbox", { name: "Select: together two" }).press("Space");
    const bar = page.getByRole("region", { name: "Selected jobs" });
    await bar.getByText("1 job selected").waitFor();
    await bar.getByRole("button", { name: "All 3" }).press("Enter");
    await bar.getByText("3 jobs selected").waitFor();
    const press = async (name: string) => {
      await bar.getByRole("button", { name, exact: true }).press("Enter");
      await bar.getByText("3 jobs selected").waitFor();
    };
    await press("Pin 3");
    await expect.poll(() => focusedText()).toMatch(/^3 jobs selected/);
    expect(await page.locator("article").getByText("Pinned", { exact: true }).count()).toBe(3);
    await page.getByText("3 jobs pinned").first().waitFor();
    await expectAccessible(page);
    await press("Unpin 3");
    await press("Pin 3");
    // While the question is open, assistive technology cannot reach the bar.
    await bar.getByRole("button", { name: "Delete" }).press("Enter");
    const question = page.getByRole("alertdialog");
    await question.getByText("All of them are pinned.").waitFor();
    await question.getByRole("button", { name: "Delete" }).press("Enter");
    await page.getByText("No job matches").waitFor();
    await bar.waitFor({ state: "detached" });
    await expect.poll(focusedText).toBe("Prints");
    expect(changes).toEqual(Array.from({ length: 4 }, () => "POST /api/jobs/bulk"));
  });

  it("are retried where possible, and the reason is shown for those that are refused", async () => {
    // A request that upstream's content check refused cannot be retried unchanged.
    await submit("refusing always [fault:moderation]");
    const jobs = await Promise.all(["first", "second"].map((name) => submit(`refusing ${name} [fault:hang]`)));
    for (const { id } of jobs) await fetch(`${product.baseUrl}/api/jobs/${id}/cancel`, { method: "POST" });
    await page.goto(`${product.baseUrl}/?q=refusing`);
    await card(page, "refusing always").getByText("Refused by").waitFor();
    for (const name of ["first", "second"]) await card(page, `refusing ${name}`).getByText("Canceled").waitFor();
    await page.route("**/api/jobs/bulk", (route) => {
      const refused = [{ id: jobs[0]?.id, code: "too_many_pending_jobs" }];
      return route.fulfill({ json: { matched: 2, done: 1, refused, nextCursor: null } });
    });
    await page.getByRole("button", { name: "Select", exact: true }).click();
    await page.keyboard.press("Control+A");
    await page.getByRole("button", { name: "Try again 2" }).click();
    await page.getByText("1 job in line again").first().waitFor();
    await page.getByText("Try again failed for 1 job: Too many unfinished jobs (1)").first().waitFor();
    await expectAccessible(page);
  });
});

describe("a pinned job", () => {
  it("is pinned by keyboard on its card, shown by the filter alone, and unpinned on its page", async () => {
    await submit("worth keeping");
    await submit("not worth it");
    await page.goto(`${product.baseUrl}/?q=worth`);
    await ready("worth keeping").waitFor();
    await page.getByRole("link", { name: "worth keeping", exact: true }).focus();
    while ((await focusedText()) !== "Pin: worth keeping") await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await card(page, "worth keeping").getByText("Pinned", { exact: true }).waitFor();
    await expect.poll(() => focusedText()).toBe("Unpin: worth keeping");
    await page.getByRole("button", { name: "Pinned", exact: true }).press("Enter");
    await card(page, "not worth it").waitFor({ state: "detached" });
    await page.reload();
    await card(page, "worth keeping").waitFor();
    expect(await card(page, "not worth it").count()).toBe(0);
    expect(await page.getByRole("button", { name: "Pinned", exact: true }).getAttribute("aria-pressed")).toBe("true");
    await expectAccessible(page);
    await screenshot(page, "product-pinned");

    const elsewhere = await visitor.open();
    await elsewhere.goto(`${product.baseUrl}/?q=worth`);
    await page.getByRole("link", { name: "worth keeping", exact: true }).press("Enter");
    await page.getByText("pinned: until it is unpinned").waitFor();
    await page.getByRole("button", { name: "Unpin" }).press("Enter");
    await page.getByRole("button", { name: "Pin", exact: true }).waitFor();
    await expectAccessible(page);
    // A pin set in one browser is shown in the other, and the other way round.
    const badge = card(elsewhere, "worth keeping").getByText("Pinned", { exact: true });
    await badge.waitFor({ state: "detached" });
    await elsewhere.getByRole("button", { name: "Pin: worth keeping" }).press("Enter");
    await page.getByRole("button", { name: "Unpin" }).waitFor();
  });

  it("is unpinned only after a question once its retention has ended, because that removes it", async () => {
    await page.route("**/api/health", async (route) => {
      const answer = await route.fetch();
      const later = new Date(Date.now() + 400 * 86_400_000).toISOString();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), time: later } });
    });
    const { id } = await submit("kept by its pin alone");
    await ready("kept by its pin alone").waitFor();
    const pinned = await fetch(`${product.baseUrl}/api/jobs/${id}`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: '{"pinned":true}',
    });
    expect(pinned.status).toBe(200);
    await page.reload();
    await page.getByRole("button", { name: "Unpin: kept by its pin alone" }).press("Enter");
    const question = page.getByRole("alertdialog");
    await question.getByText("Unpin and delete this job?").waitFor();
    await expectAccessible(page);
    await question.getByRole("button", { name: "Keep" }).press("Enter");
    await question.waitFor({ state: "hidden" });
    await card(page, "kept by its pin alone").getByText("Pinned", { exact: true }).waitFor();
  });
});

describe("looking through prints", () => {
  it("goes from job to job and from image to image by key and button; Back closes the viewer and leads to the wall", async () => {
    for (const name of ["oldest", "middle", "newest"]) {
      await submit(`looked at ${name}`);
      await ready(`looked at ${name}`).waitFor();
    }
    await page.goto(`${product.baseUrl}/?q=looked`);
    await ready("looked at middle").waitFor();
    await page.getByRole("link", { name: "looked at middle", exact: true }).click();
    const heading = (name: string) => page.getByRole("heading", { level: 1, name: `Job: looked at ${name}` });
    await heading("middle").waitFor({ state: "attached" });
    await page.getByRole("link", { name: "Download" }).waitFor();
    await page.keyboard.press("ArrowRight");
    await heading("oldest").waitFor({ state: "attached" });
    await page.getByRole("button", { name: "Newer" }).click();
    await heading("middle").waitFor({ state: "attached" });
    await page.keyboard.press("ArrowLeft");
    await heading("newest").waitFor({ state: "attached" });
    expect(await page.getByRole("button", { name: "Newer" }).getAttribute("aria-disabled")).toBe("true");

    await page.getByRole("button", { name: "Enlarge the image" }).click();
    const viewer = page.getByRole("dialog");
    await viewer.getByRole("img", { name: "looked at newest" }).waitFor();
    await viewer.locator(":focus").waitFor();
    await page.keyboard.press("ArrowRight");
    await viewer.getByRole("img", { name: "looked at middle" }).waitFor();
    // The job's page behind the viewer changes too, and must not take the focus and so the keys.
    const behind = (name: string) => page.locator("h1", { hasText: `Job: looked at ${name}` });
    await behind("middle").waitFor({ state: "attached" });
    await page.keyboard.press("ArrowLeft");
    await viewer.getByRole("img", { name: "looked at newest" }).waitFor();
    await viewer.getByRole("button", { name: "Next image" }).click();
    await viewer.getByRole("img", { name: "looked at middle" }).waitFor();
    await behind("middle").waitFor({ state: "attached" });
    await page.keyboard.press("ArrowRight");
    await viewer.getByRole("img", { name: "looked at oldest" }).waitFor();
    await expectAccessible(page);
    await page.goBack();
    await viewer.waitFor({ state: "hidden" });
    await heading("oldest").waitFor({ state: "attached" });
    await page.goBack();
    await expect.poll(focusedText).toBe("looked at oldest");
    expect(new URL(page.url()).search).toBe("?q=looked");
    await page.keyboard.press("ArrowLeft");
    await expect.poll(() => focusedText()).toBe("looked at middle");
  });

  it("goes from job to job by a swipe, on the job's page and in the viewer", async () => {
    for (const name of ["below", "above"]) {
      await submit(`swiped to ${name}`);
      await ready(`swiped to ${name}`).waitFor();
    }
    const phone = await visitor.open({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
    await phone.goto(`${product.baseUrl}/?q=swiped`);
    await ready("swiped to above", phone).waitFor();
    await phone.getByRole("link", { name: "swiped to above", exact: true }).click();
    await phone.getByRole("link", { name: "Download" }).waitFor();
    const heading = (name: string) => phone.getByRole("heading", { level: 1, name: `Job: swiped to ${name}` });
    const session = await phone.context().newCDPSession(phone);
    const swipe = async (from: number, to: number, y: number) => {
      const touch = (type: "touchStart" | "touchMove" | "touchEnd", x: number | null) =>
        session.send("Input.dispatchTouchEvent", { type, touchPoints: x === null ? [] : [{ x, y }] });
      await touch("touchStart", from);
      for (const part of [0.25, 0.5, 0.75, 1]) await touch("touchMove", from + (to - from) * part);
      await touch("touchEnd", null);
    };
    const middleOf = async (name: string) => {
      const box = await phone
        .getByRole("img", { name: `swiped to ${name}` })
        .last()
        .boundingBox();
      if (box === null) throw new Error("the image is not drawn");
      return box.y + box.height / 2;
    };
    await swipe(300, 60, await middleOf("above"));
    await heading("below").waitFor({ state: "attached" });
    await phone.getByRole("button", { name: "Enlarge the image" }).press("Enter");
    const viewer = phone.getByRole("dialog");
    await viewer.getByRole("img", { name: "swiped to below" }).waitFor();
    await swipe(60, 300, await middleOf("below"));
    await viewer.getByRole("img", { name: "swiped to above" }).waitFor();
    await expectAccessible(phone);
  });

  it("keeps the chosen density: cards, small cards or only prints", async () => {
    await submit("drawn in every density");
    await ready("drawn in every density").waitFor();
    await page.locator("label", { has: page.getByRole("radio", { name: "Prints only" }) }).click();
    await page.reload();
    await ready("drawn in every density").waitFor();
    await expect.poll(() => page.getByRole("radio", { name: "Prints only" }).isChecked()).toBe(true);
    await expectAccessible(page);
    await screenshot(page, "product-bare");
    await page.locator("label", { has: page.getByRole("radio", { name: "Small" }) }).click();
    await ready("drawn in every density").waitFor();
    await expectAccessible(page);
    await page.getByRole("link", { name: "drawn in every density", exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Job: drawn in every density" }).waitFor({ state: "attached" });
  });
});

describe("using a print again", () => {
  it("makes it a reference, by its button or by dragging it onto the form, and sends the stored image", async () => {
    await submit("the print to go on from");
    await ready("the print to go on from").waitFor();
    await card(page, "the print to go on from").hover();
    await page.getByRole("button", { name: "Use as reference: the print to go on from" }).click();
    await page.getByRole("img", { name: "the print to go on from" }).first().waitFor();
    await page.getByRole("button", { name: /^Remove image 1/ }).click();
    await expect.poll(() => focusedText()).toMatch(/Choose files/);

    // A dragged link of the card has the address of a page, which is no image.
    const link = card(page, "the print to go on from").getByRole("link").first();
    await link.dragTo(page.getByRole("button", { name: /Choose files/ }));
    const print = card(page, "the print to go on from").locator("img");
    await print.dragTo(page.getByRole("button", { name: /Choose files/ }));
    await page.getByText(/^1 of \d+$/).waitFor();
    await page.getByLabel("What to change").fill("made from the print before");
    await page.getByRole("button", { name: "Develop" }).click();
    await ready("made from the print before").waitFor();
    await page.getByRole("link", { name: "made from the print before" }).first().click();
    // Everyone who may see the job sees its reference, on any device.
    const elsewhere = await visitor.open();
    await elsewhere.goto(page.url());
    const reference = elsewhere.getByRole("img", { name: /^Reference, PNG/ });
    await reference.waitFor();
    expect(await reference.evaluate((image: HTMLImageElement) => image.decode().then(() => image.currentSrc))).toMatch(
      /\/inputs\/0\?w=320$/,
    );
    await elsewhere.getByRole("button", { name: "Again with changes" }).click();
    await elsewhere.getByRole("img", { name: "Image 1" }).waitFor();
    await elsewhere.getByRole("button", { name: "Develop" }).click();
    await until(
      "the second one",
      async () => (await card(elsewhere, "made from the print before").count()) === 2 || undefined,
    );
  });

  it("makes it a reference from the viewer by keyboard, and goes to the form beside the wall with its filter", async () => {
    await submit("seen in the viewer");
    await page.goto(`${product.baseUrl}/?show=ready`);
    await ready("seen in the viewer").waitFor();
    await page.getByRole("link", { name: "seen in the viewer", exact: true }).press("Enter");
    await page.getByRole("button", { name: "Enlarge the image" }).press("Enter");
    const viewer = page.getByRole("dialog");
    await viewer.locator(":focus").waitFor();
    await viewer.getByRole("button", { name: "Use as reference" }).press("Enter");
    await page.getByText(/^1 of \d+$/).waitFor();
    await viewer.waitFor({ state: "hidden" });
    await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe("prompt");
    expect(new URL(page.url()).search).toBe("?show=ready");
    await ready("seen in the viewer").waitFor();
    await expectAccessible(page);
  });

  it("makes the same again with a new seed, and keeps the draft", async () => {
    const { id } = await submit("once and again", {
      seed: 7,
      size: "1328*1328",
      maxAttempts: 2,
      deadlineSeconds: 3_600,
      priority: "high",
      negativePrompt: "fog",
      metadata: { campaign: "again" },
    });
    await ready("once and again").waitFor();
    await promptField().fill("a draft in the form");
    await card(page, "once and again").hover();
    await page.getByRole("button", { name: "Again: once and again" }).click();
    await until("two of them", async () => (await card(page, "once and again").count()) === 2 || undefined);
    await until(
      "two images",
      async () => (await product.emulator.ledger("once and again")).images.length === 2 || undefined,
    );
    await expect.poll(() => promptField().inputValue()).toBe("a draft in the form");
    const read = async (url: string) => (await (await fetch(`${product.baseUrl}${url}`)).json()) as Job & JobList;
    const before = await read(`/api/jobs/${id}`);
    const { jobs } = await read("/api/jobs?metadata.campaign=again");
    expect(jobs).toHaveLength(2);
    const after = await read(`/api/jobs/${jobs.find((job) => job.id !== id)?.id}`);
    expect({ ...after.request, seed: 7, model: after.model }).toEqual({ ...before.request, model: before.model });
    expect(after.request.seed).not.toBe(7);
  });

  it("keeps the drafts of two tabs apart", async () => {
    await promptField().fill("of the first tab");
    const other = await anotherTab();
    await other.goto(product.baseUrl);
    await expect.poll(() => other.getByLabel("Prompt", { exact: true }).inputValue()).toBe("of the first tab");
    await other.getByLabel("Prompt", { exact: true }).fill("of the second tab");
    await page.reload();
    await expect.poll(() => promptField().inputValue()).toBe("of the first tab");
    await other.reload();
    await expect.poll(() => other.getByLabel("Prompt", { exact: true }).inputValue()).toBe("of the second tab");
  });
});

/** Hides the tab, as the browser does when a person opens another. */
async function lookAwayFrom(tab: Page): Promise<void> {
  await tab.evaluate(() => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" });
    document.dispatchEvent(new Event("visibilitychange"));
  });
}

async function lookAgainAt(tab: Page): Promise<void> {
  await tab.evaluate(() => {
    Reflect.deleteProperty(document, "visibilityState");
    document.dispatchEvent(new Event("visibilitychange"));
    window.dispatchEvent(new Event("focus"));
  });
}

describe("while the person looks elsewhere", () => {
  it("the tab's title counts the jobs that ended, until the page is looked at again", async () => {
    await lamp(page, "live").waitFor();
    await product.emulator.addFault(hold("ends unseen"));
    await develop(page, "ends unseen");
    await product.emulator.untilHeld("ends unseen");
    await lookAwayFrom(page);
    await product.emulator.release("ends unseen");
    await expect.poll(() => page.title()).toBe("(1) Darkroom");
    expect(await page.locator('link[rel="icon"]').getAttribute("href")).toContain("safelight-ready");
    await lookAgainAt(page);
    await expect.poll(() => page.title()).toBe("Darkroom");
  });

  it("every tab counts an end that no tab showed, and none counts an end that one showed", async () => {
    await lamp(page, "live").waitFor();
    const other = await anotherTab();
    await other.goto(product.baseUrl);
    await lamp(other, "live").waitFor();
    const end = async (prompt: string) => {
      await product.emulator.addFault(hold(prompt));
      await develop(page, prompt);
      await product.emulator.untilHeld(prompt);
      await card(other, prompt).waitFor();
      await product.emulator.release(prompt);
    };
    await lookAwayFrom(page);
    await lookAwayFrom(other);
    await end("seen in no tab");
    for (const tab of [page, other]) await expect.poll(() => tab.title()).toBe("(1) Darkroom");
    // A shared link's page does not show the jobs, so it marks none as seen.
    const elsewhere = await anotherTab();
    await elsewhere.goto(`${product.baseUrl}/shared/job_AAAAAAAAAAAAAAAAAAAAA`);
    await elsewhere.getByRole("heading", { name: "This job is gone" }).waitFor();
    for (const tab of [page, other]) expect(await tab.title()).toBe("(1) Darkroom");
    await elsewhere.close();
    await lookAgainAt(other);
    for (const tab of [page, other]) await expect.poll(() => tab.title()).toBe("Darkroom");
    await end("seen in the other tab");
    for (const tab of [page, other]) await ready("seen in the other tab", tab).waitFor();
    for (const tab of [page, other]) await expect.poll(() => tab.title()).toBe("Darkroom");
    await other.close();
  });

  it("a notification shows a job that ended in no visible tab, once they are turned on, and opens the job", async () => {
    await page.context().grantPermissions(["notifications"], { origin: product.baseUrl });
    // The test's browser shows no notifications, so the requested ones are recorded.
    await page.addInitScript(() => {
      const shown: { title: string; body: string; notification: Notification }[] = [];
      class Shown extends EventTarget {
        static readonly permission = "granted";
        static readonly requestPermission = async () => "granted";
        onclick: (() => void) | null = null;
        constructor(title: string, { body = "" }: NotificationOptions) {
          super();
          shown.push({ title, body, notification: this as unknown as Notification });
        }
        close() {}
      }
      Object.assign(window, { Notification: Shown, shown });
    });
    await page.reload();
    await lamp(page, "live").waitFor();
    const bell = page.getByRole("button", { name: "Notify me when a job ends" });
    expect(await bell.getAttribute("aria-pressed")).toBe("false");
    await bell.press("Enter");
    await expect.poll(() => bell.getAttribute("aria-pressed")).toBe("true");
    await expectAccessible(page);
    // A hidden tab does not count the end of a job that another tab has shown.
    const other = await anotherTab();
    await other.goto(product.baseUrl);
    await lamp(other, "live").waitFor();
    await product.emulator.addFault(hold("ends in sight"));
    await develop(page, "ends in sight");
    await product.emulator.untilHeld("ends in sight");
    await lookAwayFrom(page);
    await product.emulator.release("ends in sight");
    await ready("ends in sight").waitFor();
    await lookAgainAt(page);
    await other.close();
    await product.emulator.addFault(hold("ends elsewhere"));
    await develop(page, "ends elsewhere");
    await product.emulator.untilHeld("ends elsewhere");
    await lookAwayFrom(page);
    await product.emulator.release("ends elsewhere");
    const shown = () =>
      page.evaluate(() =>
        (window as unknown as { shown: { title: string; body: string }[] }).shown.map(({ title, body }) => [
          title,
          body,
        ]),
      );
    await expect.poll(shown, { timeout: 60_000 }).toEqual([["Darkroom: Ready", "“ends elsewhere” is ready"]]);
    await page.evaluate(() => {
      Reflect.deleteProperty(document, "visibilityState");
      (window as unknown as { shown: { notification: { onclick(): void } }[] }).shown[0]?.notification.onclick();
    });
    await page.getByRole("heading", { level: 1, name: "Job: ends elsewhere" }).waitFor({ state: "attached" });
    await page.getByRole("button", { name: "Notify me when a job ends" }).press("Enter");
    await expect.poll(() => bell.getAttribute("aria-pressed")).toBe("false");
  });
});

describe("an image that fails to load", () => {
  it("is requested again, and then shown", async () => {
    let failures = 0;
    await page.route(/\/images\/0/, async (route) => {
      failures += 1;
      if (failures === 1) await route.abort();
      else await route.continue();
    });
    await develop(page, "fails to come at first");
    await ready("fails to come at first").waitFor();
    expect(failures).toBeGreaterThan(1);
  });
});

describe("a shared job", () => {
  let guarded: Product;
  const token = "dr_sharing";
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };

  beforeAll(async () => {
    guarded = await startProduct({
      env: {
        AUTH_MODE: "token",
        CLIENT_TOKENS: JSON.stringify({ studio: createHash("sha256").update(token).digest("hex") }),
        SIGNING_SECRET: "a signing secret for the browser test",
      },
    });
  });
  afterAll(() => guarded?.stop());

  it("is shown by its link without signing in, and by no other address", async () => {
    const picture = await sharp({ create: { width: 400, height: 400, channels: 3, background: "#c46" } })
      .png()
      .toBuffer();
    const images = [`data:image/png;base64,${picture.toString("base64")}`];
    const init = { method: "POST", headers, body: JSON.stringify({ prompt: "shared with friends", images }) };
    const submitted = await fetch(`${guarded.baseUrl}/api/workflows/image-from-reference`, init);
    const { id } = (await submitted.json()) as Submitted;
    await page.goto(`${guarded.baseUrl}/jobs/${id}`);
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator('header [title="studio"]').waitFor();
    await page.getByRole("button", { name: "Share" }).click();
    const dialog = page.getByRole("dialog");
    await choose(page, "1 day");
    await dialog.getByRole("button", { name: "Make a link" }).click();
    await expectAccessible(page);
    const url = await dialog.getByLabel(/^Until/).inputValue();

    const stranger = await visitor.open();
    await stranger.goto(url);
    await stranger.getByText("shared with friends").first().waitFor();
    const image = stranger.getByRole("img", { name: "shared with friends" });
    await image.waitFor();
    expect(await image.evaluate((shown: HTMLImageElement) => shown.decode().then(() => shown.naturalWidth > 0))).toBe(
      true,
    );
    await stranger.getByRole("img", { name: /^Reference/ }).waitFor();
    await expectAccessible(stranger);
    await screenshot(stranger, "product-shared");
    expect(await stranger.getByRole("button", { name: /Delete|Cancel|Again/ }).count()).toBe(0);
    const forged = url.replace(/signature=(.)/, (_, first) => `signature=${first === "A" ? "B" : "A"}`);
    await stranger.goto(forged);
    await stranger.getByRole("heading", { name: "This link is over" }).waitFor();
    await expectAccessible(stranger);
    await stranger.goto(`${guarded.baseUrl}/jobs/${id}`);
    await stranger.getByRole("heading", { name: "Sign in" }).waitFor();
    const share = await fetch(`${guarded.baseUrl}/api/jobs/${id}/share`, {
      method: "POST",
      headers,
      body: '{"hours":1}',
    });
    expect(new URL(((await share.json()) as Share).url).pathname).toBe(`/shared/${id}`);
  });
});
