import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { complaintsOf, imagesInSight, launchBrowser, overflowOf, screenshot } from "../support/browser.ts";
import { type FixtureWorld, fixtureLimits, serveWorld } from "../support/fixture-api.ts";
import { everyState, logOfLost } from "../support/fixture-wall.ts";
import { expectAccessible } from "../support/page.ts";
import { servePageFiles } from "../support/page-files.ts";

/*
 * States that are rare or slow to produce, drawn from sketched answers of the API. The other files in this folder use
 * the product itself.
 */

interface View {
  readonly name: string;
  readonly path: string;
  readonly world: () => FixtureWorld;
  /** Words that show that the view is drawn. */
  readonly words: string;
  /** Whether the view is also checked on a phone. */
  readonly phone?: boolean;
}

const full = (): FixtureWorld => ({ jobs: everyState(), limits: fixtureLimits(), logs: { [lostId]: logOfLost() } });
const spending = (): FixtureWorld => ({ ...full(), spent: true });
const operating = (): FixtureWorld => ({
  ...spending(),
  identity: { client: "operator", role: "operator", clients: ["studio", "atelier"] },
  health: { authMode: "token" },
});
const empty = (): FixtureWorld => ({ jobs: [], limits: { ...fixtureLimits(), lanes: [] } });
const misconfigured = (): FixtureWorld => ({
  ...empty(),
  health: {
    status: "misconfigured",
    upstream: { region: null, host: null, keyConfigured: false },
    authMode: null,
    problems: [
      { path: "QWEN_API_KEY", message: "is missing; it must be a DashScope key of the region" },
      { path: "QWEN_REGION", message: "must be one of sg, bj, us, hk" },
    ],
  },
});

const JOBS = everyState();
const jobPath = (status: string) => `/jobs/${JOBS.find((job) => job.status === status)?.id}`;
const blockedPath = `/jobs/${JOBS.find((job) => job.queue?.waitingOn === "blocked")?.id}`;
const delayedPath = `/jobs/${JOBS.find((job) => job.phase === "storing")?.id}`;
const lostId = JOBS.find((job) => job.error?.code === "result_lost")?.id ?? "";
const severalPath = `/jobs/${JOBS.find((job) => job.output?.images.length === 4)?.id}`;

const VIEWS: readonly View[] = [
  { name: "wall", path: "/", world: full, words: "3rd in line", phone: true },
  { name: "empty", path: "/", world: empty, words: "Nothing on the line yet", phone: true },
  { name: "failed-only", path: "/?show=failed", world: full, words: "Refused by the content check" },
  { name: "job-queued", path: jobPath("queued"), world: full, words: "3rd in line" },
  { name: "job-running", path: jobPath("running"), world: full, words: "Developing", phone: true },
  { name: "job-retrying", path: jobPath("retrying"), world: full, words: "Attempt 3 in" },
  { name: "job-delayed", path: delayedPath, world: full, words: "Only the copy is repeated", phone: true },
  { name: "job-blocked", path: blockedPath, world: full, words: "On hold" },
  { name: "job-succeeded", path: jobPath("succeeded"), world: full, words: "Download", phone: true },
  { name: "viewer", path: `${jobPath("succeeded")}?view=1`, world: full, words: "True size", phone: true },
  { name: "job-several", path: severalPath, world: full, words: "4 images ready" },
  { name: "job-failed", path: jobPath("failed"), world: full, words: "moderation refused", phone: true },
  { name: "job-lost", path: `/jobs/${lostId}`, world: full, words: "One copy failed", phone: true },
  { name: "job-canceled", path: jobPath("canceled"), world: full, words: "Canceled" },
  { name: "job-missing", path: "/jobs/job_AAAAAAAAAAAAAAAAAAAAA", world: full, words: "No such job" },
  { name: "lanes", path: "/lanes", world: full, words: "AccessDenied.Unpurchased", phone: true },
  { name: "spend", path: "/spend", world: spending, words: "price not known", phone: true },
  { name: "nothing-spent", path: "/spend", world: full, words: "No spend limit is set" },
  { name: "operator", path: "/spend", world: operating, words: "price not known", phone: true },
  { name: "limit-near", path: "/", world: spending, words: "$21.45 of $25.00 are used", phone: true },
  { name: "not-found", path: "/nowhere", world: full, words: "Nothing hangs here" },
  {
    name: "sign-in",
    path: "/",
    world: () => ({ ...empty(), signedOut: true }),
    words: "This browser then keeps",
    phone: true,
  },
  { name: "misconfigured", path: "/", world: misconfigured, words: "QWEN_REGION" },
];

const LAPTOP = { viewport: { width: 1440, height: 900 } };
/** Windows that a view is checked in besides its device's. */
const WINDOWS = {
  /** A laptop's at a zoom of 200 %: half as many pixels. */
  "zoomed-200": { width: 720, height: 450 },
  wide: { width: 1920, height: 1080 },
} as const;
/** The views with the most elements beside each other. */
const DENSE = ["wall", "job-several", "job-failed", "lanes", "spend", "limit-near"];
const PHONE = {
  viewport: { width: 390, height: 844 },
  isMobile: true,
  hasTouch: true,
  deviceScaleFactor: 2,
};

/** Far more than a page takes to draw anything: on a busy machine the browser's default of 30 s was not enough. */
const PATIENCE_MS = 60_000;

let browser: Browser;
let files: Awaited<ReturnType<typeof servePageFiles>>;

beforeAll(async () => {
  [browser, files] = await Promise.all([launchBrowser(), servePageFiles()]);
});
afterAll(async () => {
  await browser?.close();
  await files?.close();
});

/** Loads each view once: its theme and its window's size are changed in place, as a person may do. */
describe.each([
  { device: "laptop", options: LAPTOP, views: VIEWS, dense: DENSE },
  { device: "phone", options: PHONE, views: VIEWS.filter(({ phone }) => phone), dense: [] },
])("on a $device", ({ device, options, views, dense }) => {
  let page: Page;
  let complaints: string[];
  let world: FixtureWorld;

  beforeAll(async () => {
    const context = await browser.newContext({ reducedMotion: "reduce", ...options });
    page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    complaints = complaintsOf(page);
    await serveWorld(page, () => world);
  });
  afterAll(() => page?.context().close());

  async function expectFits(name: string): Promise<void> {
    await imagesInSight(page);
    await screenshot(page, name);
    expect(complaints).toEqual([]);
    await expect.poll(() => overflowOf(page)).toBe(0);
  }

  it.each(views)("$name has no violation of accessibility or content policy, and fits", async ({ name, ...view }) => {
    world = view.world();
    complaints.length = 0;
    await page.setViewportSize(options.viewport);
    await page.emulateMedia({ colorScheme: "light" });
    await page.goto(`${files.origin}${view.path}`);
    await page.getByText(view.words).first().waitFor();
    await expectFits(`${name}-${device}-light`);
    await expectAccessible(page);
    await page.emulateMedia({ colorScheme: "dark" });
    await expectFits(`${name}-${device}-dark`);
    await expectAccessible(page, "colours");
    if (!dense.includes(name)) return;
    for (const [window, size] of Object.entries(WINDOWS)) {
      await page.setViewportSize(size);
      await expectFits(`${name}-${window}`);
      await expectAccessible(page);
    }
  });
});

describe("a page that cannot be drawn", () => {
  it("shows a message instead of an empty window, and works again after a reload", async () => {
    const page = await (await browser.newContext({ reducedMotion: "reduce", ...PHONE })).newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await serveWorld(page, full);
    await page.goto(`${files.origin}/?show=ready`);
    await page.locator("article h4 a").first().waitFor();
    await page.evaluate(() => {
      Date.prototype.getHours = () => {
        throw new Error("a browser that cannot tell the time");
      };
    });
    await page.locator("article h4 a").first().click();
    await page.getByRole("heading", { name: "The page is broken" }).waitFor();
    await screenshot(page, "broken-phone-light");
    await expectAccessible(page);
    await expect.poll(() => overflowOf(page)).toBe(0);
    await page.getByRole("button", { name: "Load the page again" }).click();
    await page.getByRole("heading", { name: "What happened" }).waitFor();
    await page.context().close();
  });
});
