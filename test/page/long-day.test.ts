import type { Browser, Page, WebSocketRoute } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FeedFrame } from "../../schemas/event.ts";
import type { Job } from "../../schemas/job.ts";
import { listedFromJob } from "../../web/state/listed-job.ts";
import { launchBrowser } from "../support/browser.ts";
import { fixtureLimits, serveWorld } from "../support/fixture-api.ts";
import { iso, sketchJob } from "../support/fixture-jobs.ts";
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

it("draws only what is new once a day's jobs have filled the wall, and leaves a reader further down alone", async () => {
  const page: Page = await browser.newPage({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
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
  const cards = page.getByRole("article");
  const newest = (number: number) => page.getByRole("link", { name: `of that day ${number}.`, exact: true });

  await page.goto(files.origin);
  await newest(29).waitFor();
  await page.mouse.move(1_000, 500);
  await until("the reader to be at the end", async () => {
    await page.mouse.wheel(0, 1_500);
    return (await page.getByText("That is all.").isVisible()) || undefined;
  });
  come(30, 330);
  await newest(329).waitFor({ state: "attached" });
  expect(await cards.count()).toBeGreaterThan(300);
  await page.evaluate(() => window.scrollTo(0, 0));
  come(330, 331);
  await newest(330).waitFor();
  await until("a shorter wall", async () => (await cards.count()) < 60 || undefined);
  expect(await newest(330).count()).toBe(1);
  await until("the end once more", async () => {
    await page.mouse.wheel(0, 6_000);
    return (await page.getByText("That is all.").isVisible()) || undefined;
  });
  expect(await cards.count()).toBe(331);
  await page.context().close();
}, 120_000);
