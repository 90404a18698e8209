import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, CDPSession, Page } from "playwright-core";
import sharp from "sharp";
import { launchBrowser } from "../../test/support/browser.ts";
import { type Product, startProduct } from "../../test/support/product.ts";
import { until } from "../../test/support/until.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { spreadOf } from "../statistics.ts";

const MOST_MEGABYTES = 3;
const FIRST_PRINT_WITHIN_S = 10;
const PRINTS = 60;
const SIDES = { width: 1664, height: 928 } as const;
const VIEWPORT = { width: 1440, height: 900 } as const;

/** Slow 3G as in browsers' developer tools: 500 kbit/s each way, and 400 ms before the first byte. */
const SLOW_3G = { offline: false, latency: 400, downloadThroughput: 62_500, uploadThroughput: 62_500 } as const;

/** Shapes in a picture: with this many, its variants are as large as those of a photograph. */
const SHAPES = 1_500;

/** Many small shapes under grain of four levels, a different picture for each seed: some 2 MB as PNG. */
async function grainyPicture(seed: number): Promise<Buffer> {
  const { width, height } = SIDES;
  let noise = seed * 2_654_435_761 + 1;
  const next = () => {
    noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) | 0;
    return (noise >>> 8) / 2 ** 24;
  };
  const shapes = Array.from({ length: SHAPES }, () => {
    const [x, y, wide, high] = [next() * width, next() * height, 8 + next() * 90, 8 + next() * 90];
    return `<ellipse cx="${x}" cy="${y}" rx="${wide / 2}" ry="${high / 2}" fill="hsl(${next() * 360} ${20 + next() * 50}% ${20 + next() * 60}%)"/>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#776"/>${shapes.join("")}</svg>`;
  const pixels = await sharp(Buffer.from(svg)).removeAlpha().raw().toBuffer();
  for (let at = 0; at < pixels.length; at += 1) {
    noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) | 0;
    pixels[at] = Math.min(255, (pixels[at] ?? 0) + ((noise >>> 24) & 3));
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** An upstream that delivers such pictures, because the emulator's compress better than real ones. */
async function startUpstream(): Promise<{ readonly url: string; close(): void }> {
  let answered = 0;
  const server = createServer(async (request, response) => {
    if (request.method === "GET") {
      response.setHeader("Content-Type", "image/png");
      response.end(await grainyPicture(Number(/(\d+)\.png/.exec(request.url ?? "")?.[1] ?? 0)));
      return;
    }
    request.resume();
    answered += 1;
    const image = `http://${request.headers.host}/result/${answered}.png`;
    const message = { role: "assistant", content: [{ image }] };
    response.setHeader("Content-Type", "application/json");
    response.end(
      JSON.stringify({
        output: { choices: [{ finish_reason: "stop", message }] },
        usage: { image_count: 1, ...SIDES },
        request_id: `bench-${answered}`,
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A listening TCP server has an address with a port.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

async function fillWall(product: Product): Promise<void> {
  for (let n = 0; n < PRINTS; n += 1) {
    const response = await fetch(`${product.baseUrl}/api/workflows/image-from-text`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: `a print of the bench, number ${n + 1}`, size: "1664*928" }),
    });
    if (response.status !== 202) throw new Error(`a submission was answered ${response.status}`);
  }
  await until(
    "all prints",
    async () => {
      const counts = await (await fetch(`${product.baseUrl}/api/jobs/counts`)).json();
      return (counts as { status: { succeeded: number } }).status.succeeded === PRINTS || undefined;
    },
    300_000,
  );
}

interface Network {
  readonly session: CDPSession;
  imageBytes(): number;
}

/** Counts the bytes of images on the wire, headers included. */
async function networkOf(page: Page): Promise<Network> {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const images = new Set<string>();
  let bytes = 0;
  session.on("Network.responseReceived", ({ requestId, type }) => type === "Image" && images.add(requestId));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (images.has(requestId)) bytes += encodedDataLength;
  });
  return { session, imageBytes: () => bytes };
}

const PRINT = "img[data-developed]";

/** Scrolls the whole wall, waiting at each row for its prints. Returns the megabytes of its images. */
async function scrollAll(browser: Browser, product: Product): Promise<number> {
  const context = await browser.newContext({ viewport: VIEWPORT, reducedMotion: "reduce" });
  const page = await context.newPage();
  const network = await networkOf(page);
  await page.goto(product.baseUrl);
  await page.locator(PRINT).first().waitFor({ timeout: 60_000 });
  await page.mouse.move(1_000, 500);
  await until(
    "the end of the wall",
    async () => {
      const isStill = await page.evaluate(
        (print) =>
          [...document.querySelectorAll("article")].every((card) => {
            const { top, bottom } = card.getBoundingClientRect();
            return bottom < 0 || top > innerHeight || card.querySelector(print) !== null;
          }),
        PRINT,
      );
      if (!isStill) return undefined;
      if (await page.getByText("That is all.").isVisible()) return true;
      await page.mouse.wheel(0, 400);
      return undefined;
    },
    300_000,
  );
  await context.close();
  return network.imageBytes() / 1_000_000;
}

/** Seconds until a new visitor sees the first print over slow 3G. */
async function firstPrint(browser: Browser, product: Product): Promise<number> {
  const context = await browser.newContext({ viewport: VIEWPORT, reducedMotion: "reduce" });
  const page = await context.newPage();
  const { session } = await networkOf(page);
  await session.send("Network.emulateNetworkConditions", SLOW_3G);
  const startedAtMs = performance.now();
  await page.goto(product.baseUrl, { waitUntil: "commit", timeout: 120_000 });
  await page.locator(PRINT).first().waitFor({ timeout: 240_000 });
  const tookMs = performance.now() - startedAtMs;
  await context.close();
  return tookMs / 1_000;
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const rounds = quick ? 1 : 3;
  const upstream = await startUpstream();
  const product = await startProduct({
    emulator: false,
    env: { QWEN_BASE_URL: upstream.url, QWEN_API_KEY: "sk-bench", LATE_ANSWER_MS: "0" },
  });
  const browser = await launchBrowser();
  try {
    say(`making ${PRINTS} prints of ${(await grainyPicture(1)).length} bytes`);
    await fillWall(product);
    // The first visit makes the variants: once for each image and not once for each visitor.
    const scrolled = [await scrollAll(browser, product)];
    const waits: number[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      scrolled.push(await scrollAll(browser, product));
      waits.push(await firstPrint(browser, product));
      say(
        `round ${round}: ${scrolled.at(-1)?.toFixed(2)} MB to scroll, first print after ${waits.at(-1)?.toFixed(1)} s`,
      );
    }
    return [
      {
        what: `wall: image bytes to scroll ${PRINTS} prints of 2 MB`,
        unit: "MB",
        value: spreadOf(scrolled),
        bar: { kind: "at most", value: MOST_MEGABYTES },
      },
      {
        what: "wall: first print on slow 3G, cold cache",
        unit: "s",
        value: spreadOf(waits),
        bar: { kind: "at most", value: FIRST_PRINT_WITHIN_S },
      },
    ];
  } finally {
    await browser.close();
    await product.stop();
    upstream.close();
  }
}

/** The size of the wall's images, and how soon its first print is shown on a slow network. */
export const wallRow: Row = {
  name: "wall",
  kind: "speed",
  about: "image bytes to scroll a wall of large prints, and its first print on slow 3G",
  run,
};
