import type { Browser, Page, WebSocketRoute } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FeedFrame } from "../../schemas/event.ts";
import type { Job } from "../../schemas/job.ts";
import { listedFromJob } from "../../web/state/listed-job.ts";
import { launchBrowser } from "../support/browser.ts";
import { fixtureLimits, serveWorld } from "../support/fixture-api.ts";
import { iso, sketchJob } from "../support/fixture-jobs.ts";
import { isAtEnd } from "../support/page.ts";
import { servePageFiles } from "../support/page-files.ts";
import { until } from "../support/until.ts";

/** A page that stays open while hundreds of jobs come and go, from sketches of the API's answers. */

let browser: Browser;
let files: Awaited<ReturnType<typeof servePageFiles>>;

beforeAll(async () => {
  [browser, files] = await Promise.all([launchBrowser(), servePageFiles()]);
});
afterAll(async () => {
  await browser?.close();
  await files?.close();
});

/** The higher the number, the newer. */
function ended(number: number): Job {
  const at = iso((number - 1_000) * 1_000);
  const change = () =>
    ({ status: "canceled", done: true, seq: 2, createdAt: at, updatedAt: at, finishedAt: at }) as const;
  return sketchJob({ number, prompt: `of that day ${number}.`, change });
}

const PAGE = { viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" } as const;

/** Cards in the document, wherever one has scrolled to: those in the window and some rows around it. */
const MOST_CARDS = 60;

const cardsOf = (page: Page) => page.getByRole("article");
const jobLink = (page: Page, number: number) => page.getByRole("link", { name: `of that day ${number}.`, exact: true });

/** Scrolls to the end of the wall; answers the most cards that were in the document on the way. */
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

it("keeps a bounded number of cards while jobs come all day, and does not move a reader further down", async () => {
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
  expect(await jobLink(page, 0).isVisible()).toBe(true);
  expect(await cardsOf(page).count()).toBeLessThan(MOST_CARDS);
  await page.evaluate(() => window.scrollTo(0, 0));
  come(330, 331);
  await jobLink(page, 330).waitFor();
  // Nobody looks further down: the wall begins anew with its first page.
  await until("a shorter wall", async () => {
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    return height < 3 * heightBefore || undefined;
  });
  await scrollToEnd(page);
  await jobLink(page, 0).waitFor();
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
