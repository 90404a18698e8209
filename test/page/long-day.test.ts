import type { Browser, BrowserContextOptions, Page, WebSocketRoute } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FeedFrame } from "../../schemas/event.ts";
import type { Job } from "../../schemas/job.ts";
import { listedFromJob } from "../../web/state/listed-job.ts";
import { launchBrowser, screenshot } from "../support/browser.ts";
import { fixtureLimits, listOf, serveWorld } from "../support/fixture-api.ts";
import { iso, sketchJob, succeeded } from "../support/fixture-jobs.ts";
import { choose, expectAccessible, isAtEnd, lamp } from "../support/page.ts";
import { servePageFiles } from "../support/page-files.ts";
import { until } from "../support/until.ts";

/** A page that stays open while jobs are added and people do many things, drawn from sketched answers of the API. */

let browser: Browser;
let files: Awaited<ReturnType<typeof servePageFiles>>;

beforeAll(async () => {
  [browser, files] = await Promise.all([launchBrowser(), servePageFiles()]);
});
afterAll(async () => {
  await browser?.close();
  await files?.close();
});

/** A canceled job; a higher number is a newer job. */
function ended(number: number): Job {
  const at = iso((number - 1_000) * 1_000);
  const change = () =>
    ({ status: "canceled", done: true, seq: 2, createdAt: at, updatedAt: at, finishedAt: at }) as const;
  return sketchJob({ number, prompt: `of that day ${number}.`, change });
}

const PAGE = { viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" } as const;

/** The most cards in the document at any scroll position: those in the window and some rows around it. */
const MOST_CARDS = 60;

const cardsOf = (page: Page) => page.getByRole("article");
const jobLink = (page: Page, number: number) => page.getByRole("link", { name: `of that day ${number}.`, exact: true });

/** Scrolls to the end of the wall; returns the highest number of cards that were in the document on the way. */
async function scrollToEnd(page: Page): Promise<number> {
  let most = 0;
  await until(
    "the end of the wall",
    async () => {
      await page.mouse.wheel(0, 3_000);
      most = Math.max(most, await cardsOf(page).count());
      return ((await page.getByText("That is all.").isVisible()) && (await isAtEnd(page))) || undefined;
    },
    120_000,
  );
  return most;
}

it("keeps a bounded number of cards while jobs arrive all day, and does not move a reader who is further down", async () => {
  const page = await browser.newPage(PAGE);
  const jobs = Array.from({ length: 30 }, (_, index) => ended(index));
  let feed: WebSocketRoute | undefined;
  await serveWorld(page, () => ({ jobs, limits: fixtureLimits() }));
  await page.routeWebSocket(/\/api\/events(\?|$)/, (socket) => {
    feed = socket;
    socket.onMessage((text) => text === "ping" && socket.send("pong"));
    socket.send(JSON.stringify(FeedFrame.parse({ type: "ready", cursor: 1 })));
  });
  const come = (from: number, to: number) => {
    for (let number = from; number < to; number++) {
      const job = ended(number);
      jobs.push(job);
      const frame = { type: "job", cursor: number, seq: job.seq, job: { ...listedFromJob(job), client: "studio" } };
      feed?.send(JSON.stringify(FeedFrame.parse(frame)));
    }
  };

  await page.goto(files.origin);
  await jobLink(page, 29).waitFor();
  await page.mouse.move(1_000, 500);
  await scrollToEnd(page);
  await jobLink(page, 0).waitFor();
  const heightBefore = await page.evaluate(() => document.documentElement.scrollHeight);
  come(30, 330);
  await until("a taller wall", async () => {
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    return height > 3 * heightBefore || undefined;
  });
  await expect.poll(() => jobLink(page, 0).isVisible()).toBe(true);
  expect(await cardsOf(page).count()).toBeLessThan(MOST_CARDS);
  // Once the window is at its top and no job arrives, the wall keeps only its first page.
  await page.evaluate(() => window.scrollTo(0, 0));
  await jobLink(page, 329).waitFor();
  await until("a shorter wall", async () => {
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    return height < 3 * heightBefore || undefined;
  });
  come(330, 331);
  await jobLink(page, 330).waitFor();
  await scrollToEnd(page);
  await jobLink(page, 0).waitFor();
  await page.context().close();
}, 120_000);

it("keeps a bounded number of jobs in a tab that shows one job all day, and that job with its viewer", async () => {
  const looked = sketchJob({ number: 1, prompt: "looked at all day", change: succeeded() });
  const jobs = [looked];
  const { page, send } = await opened(jobs, {}, `/jobs/${looked.id}`);
  await page.getByRole("button", { name: "Enlarge the image" }).waitFor();
  const lists: string[] = [];
  page.on("request", (request) => request.url().includes("/api/jobs?") && lists.push(request.url()));
  const come = (from: number, to: number) => {
    const late = Array.from({ length: to - from }, (_, index) => ended(2_000 + from + index));
    jobs.push(...late);
    for (const job of late) send(job);
  };
  come(0, 1_050);
  // Nobody is at the wall, and still the list begins anew.
  await until("a first page", async () => lists.length > 0 || undefined);
  come(1_050, 1_051);
  await page.getByRole("button", { name: "Enlarge the image" }).click();
  await page.getByRole("dialog").getByText("True size").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.getByRole("link", { name: "All prints" }).click();
  await jobLink(page, 3_050).waitFor();
  expect(await page.evaluate(() => document.documentElement.scrollHeight)).toBeLessThan(60_000);
  await page.context().close();
}, 120_000);

it("shows two thousand jobs with a bounded document, and returns to the same place", async () => {
  const page = await browser.newPage(PAGE);
  const jobs = Array.from({ length: 2_000 }, (_, index) => ended(index));
  await serveWorld(page, () => ({ jobs, limits: fixtureLimits() }));
  await page.goto(files.origin);
  await jobLink(page, 1_999).waitFor();
  const nodes = () => page.evaluate(() => document.querySelectorAll("*").length);
  const before = await nodes();
  await page.mouse.move(1_000, 500);
  expect(await scrollToEnd(page)).toBeLessThan(MOST_CARDS);
  await jobLink(page, 0).waitFor();
  expect(await nodes()).toBeLessThan(2 * before);

  await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight / 2));
  await jobLink(page, 1_000).or(jobLink(page, 1_001)).first().waitFor();
  const link = jobLink(page, 1_000);
  const name = await link.innerText();
  await link.scrollIntoViewIfNeeded();
  const scrolled = await page.evaluate(() => window.scrollY);
  await link.click();
  await page.getByRole("heading", { name: `Job: ${name}` }).waitFor({ state: "attached" });
  await page.goBack();
  await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe(name);
  expect(Math.abs((await page.evaluate(() => window.scrollY)) - scrolled)).toBeLessThan(400);
  await page.context().close();
}, 240_000);

it("fetches an operator's list again once the feeds are open, for what changed while they opened", async () => {
  const page = await browser.newPage(PAGE);
  const waiting = sketchJob({ number: 1, prompt: "changed unheard", change: () => ({ createdAt: iso(-1_000) }) });
  const kept = ended(2);
  let jobs: readonly Job[] = [waiting, kept, ended(3)];
  const world = () => ({
    jobs,
    limits: fixtureLimits(),
    identity: { client: "operator", role: "operator" as const, clients: ["studio"] },
    health: { authMode: "token" as const },
  });
  await serveWorld(page, world);
  let first = true;
  await page.route(/\/api\/jobs\?/, async (route) => {
    if (!first) return route.fallback();
    first = false;
    // The list in its state at the request; it is answered once the feed is open.
    const before = listOf(world(), new URL(route.request().url()).searchParams);
    jobs = [{ ...waiting, status: "canceled", done: true, queue: null, seq: waiting.seq + 1 }, kept];
    await lamp(page, "live").waitFor();
    return route.fulfill({ json: before });
  });
  await page.goto(files.origin);
  const changed = cardsOf(page).filter({ hasText: "changed unheard" });
  await changed.getByText("Canceled").waitFor();
  await jobLink(page, 3).waitFor({ state: "detached" });
  await jobLink(page, 2).waitFor();
  await page.context().close();
}, 120_000);

interface Sketched {
  readonly page: Page;
  readonly send: (job: Job) => void;
}

/** A page with these jobs, and its live feed. */
async function opened(jobs: readonly Job[], options: BrowserContextOptions = {}, path = "/"): Promise<Sketched> {
  const page = await (await browser.newContext({ ...PAGE, ...options })).newPage();
  let feed: WebSocketRoute | undefined;
  await serveWorld(page, () => ({ jobs, limits: fixtureLimits() }));
  await page.routeWebSocket(/\/api\/events(\?|$)/, (socket) => {
    feed = socket;
    socket.onMessage((text) => text === "ping" && socket.send("pong"));
    socket.send(JSON.stringify(FeedFrame.parse({ type: "ready", cursor: 1 })));
  });
  await page.goto(`${files.origin}${path}`);
  await lamp(page, "live").waitFor();
  const send = (job: Job) => {
    const frame = { type: "job", cursor: 1, seq: job.seq, job: { ...listedFromJob(job), client: "studio" } };
    feed?.send(JSON.stringify(FeedFrame.parse(frame)));
  };
  return { page, send };
}

/** Holds back the answers to one kind of request until they are released. */
async function held(page: Page, url: RegExp): Promise<{ readonly asked: Promise<void>; release(): Promise<void> }> {
  let ask = () => {};
  let letGo = () => {};
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  const released = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  await page.route(url, async (route) => {
    ask();
    await released;
    return route.fallback();
  });
  return {
    asked,
    release: async () => {
      const response = page.waitForResponse(url);
      letGo();
      await (await response).finished();
      // Wait until the effects of the answer are drawn.
      for (const _ of [1, 2, 3]) await page.evaluate(() => new Promise(requestAnimationFrame));
    },
  };
}

const pathOf = (page: Page) => new URL(page.url()).pathname;

describe("a late answer", () => {
  it("does not lead away from the view that is open by then: neither a step to another job, nor a job put into the form", async () => {
    const { page } = await opened(Array.from({ length: 60 }, (_, index) => ended(index)));
    const older = await held(page, /\/api\/jobs\?.*cursor=/);
    await jobLink(page, 59).waitFor();
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await jobLink(page, 36).click();
    await page.getByRole("heading", { level: 1, name: "of that day 36." }).waitFor({ state: "attached" });
    await older.asked;
    await page.keyboard.press("ArrowRight");
    await page.getByRole("link", { name: "Lanes" }).click();
    await older.release();
    expect(pathOf(page)).toBe("/lanes");

    const job = await held(page, new RegExp(`/api/jobs/${ended(59).id}$`));
    await page.getByRole("link", { name: "Prints", exact: true }).click();
    await page.evaluate(() => scrollTo(0, 0));
    await page.getByRole("button", { name: "Again with changes: of that day 59." }).press("Enter");
    await job.asked;
    await page.getByRole("link", { name: "Lanes" }).click();
    await job.release();
    await page.getByText("The job is in the form now").first().waitFor();
    expect(pathOf(page)).toBe("/lanes");
    await page.context().close();
  });

  it("does not lead away from where one has come back to", async () => {
    const { page } = await opened(Array.from({ length: 60 }, (_, index) => ended(index)));
    const older = await held(page, /\/api\/jobs\?.*cursor=/);
    await jobLink(page, 59).waitFor();
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await jobLink(page, 36).click();
    const heading = page.getByRole("heading", { level: 1, name: "of that day 36." });
    await heading.waitFor({ state: "attached" });
    await older.asked;
    const { pathname } = new URL(page.url());
    await page.keyboard.press("ArrowRight");
    await page.getByRole("link", { name: "Lanes" }).click();
    await page.getByRole("heading", { name: "Lanes" }).waitFor();
    await page.goBack();
    await heading.waitFor({ state: "attached" });
    await older.release();
    expect(pathOf(page)).toBe(pathname);
    await page.context().close();
  });

  it("shows no link that ends at another time than the one chosen meanwhile", async () => {
    const { page } = await opened([ended(1)], {}, `/jobs/${ended(1).id}`);
    await page.route(/\/share$/, (route) => {
      const { hours } = route.request().postDataJSON() as { hours: number };
      return route.fulfill({
        json: { url: `${files.origin}/shared/x?hours=${hours}`, expiresAt: iso(hours * 3_600_000) },
      });
    });
    const share = await held(page, /\/share$/);
    await page.getByRole("button", { name: "Share" }).click();
    const make = page.getByRole("button", { name: "Make a link" });
    await make.click();
    await share.asked;
    await choose(page, "1 day");
    await share.release();
    await make.waitFor();
    expect(await page.getByLabel(/^Until/).count()).toBe(0);
    await make.click();
    await expect.poll(() => page.getByLabel(/^Until/).inputValue()).toContain("hours=24");
    await page.context().close();
  });
});

describe("selected jobs", () => {
  it("are all of the wall by Ctrl+A and none by Escape; those that a filter hides are counted and not acted on", async () => {
    const failing = (number: number): Job => ({ ...ended(number), status: "failed" });
    const { page } = await opened([ended(1), ended(2), ended(3), failing(4), failing(5)]);
    const box = page.getByRole("checkbox", { name: "Select: of that day 1." });
    const bar = page.getByRole("region", { name: "Selected jobs" });
    await box.press("Space");
    await bar.getByText("1 job selected").waitFor();
    await box.press("Escape");
    await bar.waitFor({ state: "detached" });
    await box.press("Space");
    await box.press("Control+A");
    await bar.getByText("5 jobs selected").waitFor();
    await choose(page, "Failed");
    await bar.getByText("2 jobs selected, 3 more hidden by the filter").waitFor();
    await expectAccessible(page);
    const acted: string[][] = [];
    await page.route("**/api/jobs/bulk", (route) => {
      const { ids } = route.request().postDataJSON() as { ids: string[] };
      acted.push(ids);
      return route.fulfill({ json: { matched: ids.length, done: ids.length, refused: [], nextCursor: null } });
    });
    await bar.getByRole("button", { name: "Pin 2" }).press("Enter");
    await page.getByText("2 jobs pinned").first().waitFor();
    expect(acted.map((ids) => ids.toSorted())).toEqual([[failing(4).id, failing(5).id]]);
    await choose(page, "All");
    await bar.getByText("5 jobs selected").waitFor();
    await page.context().close();
  });

  it("stay selected while hundreds of jobs are added above them", async () => {
    const jobs = [ended(0)];
    const { page, send } = await opened(jobs);
    await page.getByRole("checkbox", { name: "Select: of that day 0." }).press("Space");
    const bar = page.getByRole("region", { name: "Selected jobs" });
    await bar.getByText("1 job selected").waitFor();
    const lists: string[] = [];
    page.on("request", (request) => /\/api\/jobs\?/.test(request.url()) && lists.push(request.url()));
    for (let number = 1; number <= 300; number += 1) {
      jobs.push(ended(number));
      send(ended(number));
    }
    // More jobs than the wall keeps: without the selection it would begin anew, and drop the selected job.
    await bar.getByRole("button", { name: "All 301" }).waitFor();
    expect(lists).toEqual([]);
    expect(await bar.getByText("1 job selected").count()).toBe(1);
    await bar.getByRole("button", { name: "Done" }).press("Enter");
    await expect.poll(() => lists.length).toBe(1);
    await page.context().close();
  });

  it("begin with a long press whose menu event comes first, and load no original", async () => {
    const done = sketchJob({ number: 7, prompt: "pressed long", change: succeeded() });
    const { page } = await opened([done], { isMobile: true, hasTouch: true, viewport: { width: 390, height: 844 } });
    const image = cardsOf(page).locator("img[data-developed]");
    await image.waitFor();
    const originals: string[] = [];
    page.on("request", (request) => /\/images\/0$/.test(request.url()) && originals.push(request.url()));
    const isPrevented = await image.evaluate((element) => {
      const of = { bubbles: true, cancelable: true, pointerType: "touch" };
      element.dispatchEvent(new PointerEvent("pointerdown", of));
      return !element.dispatchEvent(new PointerEvent("contextmenu", of));
    });
    expect(isPrevented).toBe(true);
    await page.getByText("1 job selected").waitFor();
    expect(await image.getAttribute("srcset")).toContain("w=320");
    expect(originals).toEqual([]);
    await page.context().close();
  });
});

describe("by keyboard alone", () => {
  const said = (page: Page, words: string | RegExp) =>
    page.locator("[aria-live=polite].unseen").getByText(words).waitFor({ state: "attached" });

  it("announces how many jobs a search finds, the end of a selection, and a draft that is put aside", async () => {
    const { page } = await opened(Array.from({ length: 30 }, (_, index) => ended(index)));
    await jobLink(page, 29).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("29.");
    await said(page, /\b1 job$/);
    await page.keyboard.press("Escape");
    await said(page, "More than 24 jobs");
    await jobLink(page, 29).focus();
    await page.getByRole("button", { name: "Select", exact: true }).press("Enter");
    await jobLink(page, 29).press("Enter");
    await page.getByText("1 job selected").waitFor();
    await page.keyboard.press("Escape");
    await said(page, "Selection ended");
    await page.getByLabel("Prompt", { exact: true }).fill("to be kept");
    await page.getByRole("button", { name: "Again with changes: of that day 29." }).press("Enter");
    await said(page, "The draft that was in the form is put aside");
    await page.context().close();
  });

  it("announces the image that the viewer shows, and returns the focus to its button when it closes", async () => {
    const several = [1, 2].map((number) => sketchJob({ number, prompt: `seen ${number}`, change: succeeded(2) }));
    const { page } = await opened(several, {}, `/jobs/${several[1]?.id}`);
    const enlarge = page.getByRole("button", { name: "Enlarge the image" });
    await enlarge.press("Enter");
    const viewer = page.getByRole("dialog");
    await viewer.locator(":focus").waitFor();
    await page.keyboard.press("ArrowLeft");
    await said(page, "Image 2 of 2: seen 1");
    await page.keyboard.press("ArrowRight");
    await said(page, "Image 1 of 2: seen 2");
    await page.keyboard.press("Escape");
    await viewer.waitFor({ state: "hidden" });
    await expect.poll(() => enlarge.evaluate((button) => button === document.activeElement)).toBe(true);
    await page.context().close();
  });
});

it("searches while jobs arrive one after the other", async () => {
  const { page, send } = await opened([ended(0)]);
  await page.clock.install();
  await page.getByLabel("Search prompts").fill("of that day");
  for (const number of [1, 2, 3, 4, 5, 6]) {
    send(ended(number));
    await until("the job", async () => {
      await page.clock.runFor(60);
      return (await jobLink(page, number).isVisible()) || undefined;
    });
  }
  expect(new URL(page.url()).searchParams.get("q")).toBe("of that day");
  await page.context().close();
});

it("prints a job with its whole prompt, and without buttons", async () => {
  const prompt = `${"a long way through fields ".repeat(20)}to the lighthouse`;
  const done = sketchJob({ number: 8, prompt, change: succeeded() });
  const { page } = await opened([done], {}, `/jobs/${done.id}`);
  const text = page.locator("p").filter({ hasText: "to the lighthouse" });
  await text.waitFor();
  await page.emulateMedia({ media: "print" });
  await screenshot(page, "printed-job", { fullPage: true });
  expect(
    await text.evaluate((element) => [element.clientHeight > 0, element.scrollHeight - element.clientHeight]),
  ).toEqual([true, 0]);
  expect(await page.getByRole("button").count()).toBe(0);
  expect(await page.getByRole("banner").count()).toBe(0);
  await page.context().close();
});

it("shows notifications by a service worker where a page may not show its own, as on phones", async () => {
  const running = sketchJob({ number: 9, prompt: "ends elsewhere", change: () => ({ createdAt: iso(-1_000) }) });
  const { page, send } = await opened([running]);
  await page.context().grantPermissions(["notifications"], { origin: files.origin });
  await page.addInitScript(() => {
    const asked: unknown[] = [];
    class Refused {
      static readonly permission = "granted";
      static readonly requestPermission = async () => "granted";
      constructor() {
        throw new TypeError("Illegal constructor. Use ServiceWorkerRegistration.showNotification() instead.");
      }
    }
    // The test's browser shows no notifications, so the requested ones are recorded.
    ServiceWorkerRegistration.prototype.showNotification = async (title, options) => {
      asked.push([title, options?.body, options?.data]);
    };
    Object.assign(window, { Notification: Refused, asked });
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" });
  });
  await page.reload();
  await cardsOf(page).filter({ hasText: "ends elsewhere" }).waitFor();
  await lamp(page, "live").waitFor();
  await page.getByRole("button", { name: "Notify me when a job ends" }).press("Enter");
  await expect
    .poll(() => page.getByRole("button", { name: "Notify me when a job ends" }).getAttribute("aria-pressed"))
    .toBe("true");
  send(sketchJob({ number: 9, prompt: "ends elsewhere", change: succeeded() }));
  const asked = () => page.evaluate(() => (window as unknown as { asked: unknown[] }).asked);
  const path = `/jobs/${running.id}`;
  await expect.poll(asked, { timeout: 60_000 }).toEqual([["Darkroom: Ready", "“ends elsewhere” is ready", path]]);
  // The notification may be older than the page, so the page is loaded again.
  await page.reload();
  await lamp(page, "live").waitFor();
  const worker = page.context().serviceWorkers()[0];
  await worker?.evaluate((to) => (self as unknown as { openAt(path: string): Promise<void> }).openAt(to), path);
  await page.getByRole("heading", { level: 1, name: "Job: ends elsewhere" }).waitFor({ state: "attached" });
  await page.context().close();
});

it("shows the beginning of a right-to-left text that is cut", async () => {
  const text = "دراجة حمراء تحت المطر أمام جدار أبيض، انعكاس أوراق الخريف في بركة ماء";
  const { page } = await opened([ended(1)], { viewport: { width: 360, height: 740 } });
  await page.getByLabel("Prompt", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Again with changes" }).press("Enter");
  // With the colon, because the message that a draft is put aside may still be shown.
  const aside = page.getByText("Put aside:");
  await aside.waitFor();
  await choose(page, "From reference");
  const name = `${text}.png`;
  await page.getByTestId("reference-file").setInputFiles({ name, mimeType: "image/png", buffer: ONE_PIXEL });
  await page.getByTitle(name).waitFor();
  for (const line of [aside, page.getByTitle(name)]) {
    expect(await line.evaluate(isBeginningShown, text.slice(0, 5))).toBe(true);
  }
  await page.context().close();
});

/** Whether the first letters of `text` within an element lie where the element does. */
function isBeginningShown(element: Element, text: string): boolean {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const at = node.textContent?.indexOf(text) ?? -1;
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + text.length);
    const [letters, box] = [range.getBoundingClientRect(), element.getBoundingClientRect()];
    return letters.left >= box.left && letters.right <= box.right;
  }
  return false;
}

const ONE_PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

it("offers the original of a print that is dragged out, and leaves the browser's own menu over it", async () => {
  const job = sketchJob({ number: 1, prompt: "dragged out", change: succeeded() });
  const { page } = await opened([job]);
  const print = cardsOf(page).locator("img");
  await print.waitFor();
  const found = await print.evaluate((image) => {
    const dataTransfer = new DataTransfer();
    image.dispatchEvent(new DragEvent("dragstart", { bubbles: true, cancelable: true, dataTransfer }));
    const { x, y, width, height } = image.getBoundingClientRect();
    const menu = new MouseEvent("contextmenu", { bubbles: true, cancelable: true });
    return {
      file: dataTransfer.getData("DownloadURL"),
      address: dataTransfer.getData("text/uri-list"),
      isOnTop: document.elementFromPoint(x + width / 2, y + height / 2) === image,
      hasMenu: image.dispatchEvent(menu),
    };
  });
  const address = `${files.origin}/api/jobs/${job.id}/images/0`;
  expect(found).toEqual({ file: `image/png:${job.id}-1:${address}`, address, isOnTop: true, hasMenu: true });
  await page.context().close();
});

it("writes a zip image by image, where the browser lets the page write a file", async () => {
  const several = [1, 2].map((number) => sketchJob({ number, prompt: `zipped ${number}`, change: succeeded() }));
  const { page } = await opened(several);
  const last = await held(page, new RegExp(`/api/jobs/${several[1]?.id}/images/0$`));
  await page.evaluate(() => {
    const zip = { bytes: 0, isClosed: false };
    const write = (chunk: Uint8Array) => {
      zip.bytes += chunk.byteLength;
    };
    const close = () => {
      zip.isClosed = true;
    };
    const handle = { createWritable: async () => new WritableStream({ write, close }) };
    Object.assign(window, { zip, showSaveFilePicker: async () => handle });
  });
  const zip = () =>
    page.evaluate(() => ({ ...(window as unknown as { zip: { bytes: number; isClosed: boolean } }).zip }));
  await page.getByRole("button", { name: "Select", exact: true }).click();
  await page.keyboard.press("Control+A");
  await page.getByRole("button", { name: "Zip" }).click();
  await last.asked;
  await expect.poll(async () => (await zip()).bytes).toBeGreaterThan(1_000);
  expect((await zip()).isClosed).toBe(false);
  await last.release();
  await expect.poll(async () => (await zip()).isClosed).toBe(true);
  await page.context().close();
});
