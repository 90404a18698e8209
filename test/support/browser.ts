import { existsSync, mkdirSync } from "node:fs";
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packed from "@sparticuz/chromium";
import { type Browser, chromium, type Page } from "playwright-core";
import { decompress } from "wawoff2";

/**
 * Switches of the packed Chromium that are meant for environments without processes, or that would hide faults: the page
 * must work under a browser's usual restrictions.
 */
const UNWANTED = new Set([
  "--single-process",
  "--no-zygote",
  "--in-process-gpu",
  "--disable-web-security",
  "--allow-running-insecure-content",
  "--disable-site-isolation-trials",
  // A software graphics card costs more than everything else in these tests, and the page draws nothing that needs one.
  "--use-gl=angle",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
  "--ignore-gpu-blocklist",
]);

const SANDBOXLESS = ["--no-sandbox", "--disable-setuid-sandbox"];

/**
 * A Chromium with nothing installed by hand: `CHROMIUM_PATH` if set; on Linux the one packed in a dev dependency; elsewhere an
 * installed Chrome, or the one that Playwright has installed.
 */
export async function launchBrowser(): Promise<Browser> {
  const own = process.env.CHROMIUM_PATH;
  if (own !== undefined && own !== "") return chromium.launch({ executablePath: own, args: SANDBOXLESS });
  if (usesPacked()) return launchPacked();
  return chromium.launch({ channel: "chrome" }).catch(() => chromium.launch());
}

/** Unpacks the browser once, before two tests would do so at the same time and one of them would use a part of it. */
export async function unpackBrowser(): Promise<void> {
  if (!usesPacked()) return;
  await packed.executablePath();
  await fontSettings();
}

function usesPacked(): boolean {
  return (process.env.CHROMIUM_PATH ?? "") === "" && process.platform === "linux" && process.arch === "x64";
}

async function launchPacked(): Promise<Browser> {
  const executablePath = await packed.executablePath();
  const wanted = packed.args.filter((arg) => !UNWANTED.has(arg) && !arg.startsWith("--headless"));
  const args = [...wanted, "--disable-gpu"];
  const env = { ...process.env, FONTCONFIG_FILE: await fontSettings() };
  return chromium.launch({ executablePath, args, env: definedOnly(env) });
}

/** Packages of fonts for scripts that the browser's own font lacks: Chinese and Arabic. */
const FONT_PACKAGES = ["noto-sans-sc", "noto-sans-arabic"];

/**
 * Where the browser finds fonts: its own and those of packages, so that a page looks the same on every machine. The browser
 * takes only uncompressed fonts, and packages have them compressed for the web, so they are unpacked once.
 */
async function fontSettings(): Promise<string> {
  const folder = join(tmpdir(), "darkroom-fonts");
  const file = join(folder, "fonts.conf");
  if (existsSync(file)) return file;
  const made = await mkdtemp(join(tmpdir(), "darkroom-fonts-"));
  for (const name of FONT_PACKAGES) {
    const source = join(import.meta.dirname, "../../node_modules/@fontsource-variable", name, "files");
    for (const font of (await readdir(source)).filter((found) => found.endsWith("-wght-normal.woff2"))) {
      const plain = await decompress(await readFile(join(source, font)));
      await writeFile(join(made, font.replace(".woff2", ".ttf")), plain);
    }
  }
  const folders = [join(tmpdir(), "fonts"), folder].map((name) => `<dir>${name}</dir>`).join("");
  const cache = `<cachedir>${join(tmpdir(), "darkroom-fonts-cache")}</cachedir>`;
  const settings = `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>${folders}${cache}</fontconfig>`;
  await writeFile(join(made, "fonts.conf"), settings);
  // Renamed in one step, because another test may look for the folder at the same time.
  await rename(made, folder).catch(() => rm(made, { recursive: true, force: true }));
  return file;
}

function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

const SCREENSHOTS = join(import.meta.dirname, "../../.artifacts/screenshots");

/** With `SCREENSHOTS=1`, writes a picture of the page to `.artifacts/screenshots`, for people. Without it, does nothing. */
export async function screenshot(page: Page, name: string, options: { fullPage?: boolean } = {}): Promise<void> {
  if (process.env.SCREENSHOTS !== "1") return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), ...options });
}

/** Collects a page's errors and the refusals of the content security policy; empty when there are none. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`${error.name}: ${error.message}`));
  page.on("console", (message) => {
    // The browser itself logs a refused request or socket as an error; the page shows these in its own words.
    const isOfBrowser = /^(Failed to load resource|WebSocket connection to)/.test(message.text());
    if (message.type() === "error" && !isOfBrowser) complaints.push(message.text());
  });
  return complaints;
}

/** By how many pixels the page is wider than its window; above 0 it scrolls sideways. */
export function overflowOf(page: Page): Promise<number> {
  return page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth));
}

/** Resolves once the visible images are loaded; images further down load only when they are scrolled to. */
export async function imagesInSight(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const seen = [...document.images].filter((image) => {
      const { top, bottom } = image.getBoundingClientRect();
      return bottom > 0 && top < innerHeight;
    });
    await Promise.all(seen.map((image) => image.decode().catch(() => undefined)));
  });
}
