import { spawnSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import type { Browser, BrowserContext } from "playwright-core";
import { launchBrowser } from "../../test/support/browser.ts";
import { startProduct } from "../../test/support/product.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { spreadOf } from "../statistics.ts";

/** The most script that the page may load before it can be used, compressed by the platform. */
const MOST_SCRIPT_KB = 150;
/** The window of a small laptop. */
const VIEWPORT = { width: 1440, height: 900 } as const;
const USABLE_WITHIN_MS = 30_000;

interface Visit {
  /** From the start of the navigation until the prompt can be typed into. */
  readonly usableMs: number;
  /** Sum of all layout shifts until the page is still; Chrome's own measure, 0.1 is its bound of good. */
  readonly layoutShift: number;
  readonly requests: number;
  readonly scriptBytes: number;
  readonly gzippedBytes: number;
  /** Bytes of all bodies on the wire, without what the browser had cached. */
  readonly sentBytes: number;
}

/** What `watchPage` leaves in the page. */
interface Watched {
  usableAtMs: number | null;
  layoutShift: number;
}

/** Runs in the page before its own code. */
function watchPage(): void {
  const watched: Watched = { usableAtMs: null, layoutShift: 0 };
  Object.assign(window, { benchWatched: watched });
  new PerformanceObserver((list) => {
    // The browser's own kind of entry; no library declares its fields.
    for (const entry of list.getEntries() as unknown as { value: number; hadRecentInput: boolean }[]) {
      if (!entry.hadRecentInput) watched.layoutShift += entry.value;
    }
  }).observe({ type: "layout-shift", buffered: true });
  const look = (): void => {
    const field = document.querySelector("textarea");
    if (field !== null && !field.disabled && field.getBoundingClientRect().height > 0) {
      watched.usableAtMs = performance.now();
    } else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

/** Opens the page in a new tab and waits until nothing changes. */
async function visit(context: BrowserContext, url: string): Promise<Visit> {
  const page = await context.newPage();
  try {
    const scripts: Promise<Buffer>[] = [];
    let requests = 0;
    const sizes: Promise<number>[] = [];
    page.on("response", (response) => {
      if (response.request().resourceType() === "script") scripts.push(response.body());
    });
    page.on("requestfinished", (request) => {
      sizes.push(request.sizes().then(({ responseBodySize }) => responseBodySize));
      requests += 1;
    });
    await page.addInitScript(watchPage);
    await page.goto(url);
    const field = page.getByLabel("Prompt", { exact: true });
    await field.fill("a red bicycle in the rain", { timeout: USABLE_WITHIN_MS });
    if ((await field.inputValue()) === "") throw new Error("the prompt did not take what was typed");
    await page.waitForLoadState("networkidle");
    const watched = await page.evaluate(() => (window as unknown as { benchWatched: Watched }).benchWatched);
    if (watched.usableAtMs === null) throw new Error("the page was typed into before it was seen to be usable");
    const bodies = await Promise.all(scripts);
    return {
      usableMs: watched.usableAtMs,
      layoutShift: watched.layoutShift,
      requests,
      sentBytes: (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0),
      scriptBytes: bodies.reduce((sum, body) => sum + body.byteLength, 0),
      gzippedBytes: bodies.reduce((sum, body) => sum + gzipSync(body).byteLength, 0),
    };
  } finally {
    await page.close();
  }
}

/** A first visit with an empty cache, and a second with the browser's cache. */
async function visitTwice(browser: Browser, url: string): Promise<{ cold: Visit; warm: Visit }> {
  const context = await browser.newContext({ viewport: VIEWPORT });
  try {
    return { cold: await visit(context, url), warm: await visit(context, url) };
  } finally {
    await context.close();
  }
}

/** Builds the page again, because `dist/web` may be outdated. */
function buildPage(): void {
  const args = ["node_modules/vite/bin/vite.js", "build", "--config", "web/vite.config.ts", "--logLevel", "warn"];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`the page could not be built:\n${stderr}`);
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const rounds = quick ? 3 : 7;
  buildPage();
  const product = await startProduct();
  const browser = await launchBrowser();
  const cold: Visit[] = [];
  const warm: Visit[] = [];
  try {
    // The first visit warms the Worker, not the visitor: each round's context is new.
    for (let number = 0; number <= rounds; number++) {
      const both = await visitTwice(browser, `${product.baseUrl}/`);
      say(
        `${number === 0 ? "warm-up" : `round ${number}`}: usable after ${both.cold.usableMs.toFixed(0)} ms, again after ${both.warm.usableMs.toFixed(0)} ms`,
      );
      if (number === 0) continue;
      cold.push(both.cold);
      warm.push(both.warm);
    }
  } finally {
    await browser.close();
    await product.stop();
  }
  const script = { kind: "at most", value: MOST_SCRIPT_KB } as const;
  const figure = (what: string, unit: string, values: readonly number[], bar: Figure["bar"] = null): Figure => ({
    what: `page: ${what}`,
    unit,
    value: spreadOf(values),
    bar,
  });
  const bytesOf = (visits: readonly Visit[], read: (visit: Visit) => number) => visits.map((one) => read(one) / 1000);
  const gzipped = bytesOf(cold, (visit) => visit.gzippedBytes);
  const uncompressed = bytesOf(cold, (visit) => visit.scriptBytes);
  const sentCold = bytesOf(cold, (visit) => visit.sentBytes);
  const sentWarm = bytesOf(warm, (visit) => visit.sentBytes);
  const usableCold = cold.map(({ usableMs }) => usableMs);
  const usableWarm = warm.map(({ usableMs }) => usableMs);
  const shifts = cold.map(({ layoutShift }) => layoutShift);
  const requests = cold.map((visit) => visit.requests);
  return [
    figure("script of the first load, gzipped", "kB", gzipped, script),
    figure("script of the first load, uncompressed", "kB", uncompressed),
    figure("sent for everything, cold cache", "kB", sentCold),
    figure("sent for everything, warm cache", "kB", sentWarm),
    figure("form usable, cold cache", "ms", usableCold),
    figure("form usable, warm cache", "ms", usableWarm),
    figure("layout shift, cold cache", "", shifts),
    figure("requests, with those that the cache answers", "", requests),
  ];
}

/** How soon the page can be used, and how large it is. */
export const pageRow: Row = {
  name: "page",
  kind: "speed",
  about: "weight of the page, and how soon its form can be used",
  run,
};
