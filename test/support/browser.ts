import { existsSync, mkdirSync } from "node:fs";
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packed from "@sparticuz/chromium";
import { type Browser, chromium, type Page } from "playwright-core";
import { decompress } from "wawoff2";

/**
 * Switches of the packed Chromium that are for a place without processes, or would hide what these tests look for: a page
 * must hold under a browser's usual guards.
 */
const UNWANTED = new Set([
  "--single-process",
  "--no-zygote",
  "--in-process-gpu",
  "--disable-web-security",
  "--allow-running-insecure-content",
  "--disable-site-isolation-trials",
  // A graphics card made of software costs more than all else in these tests, and the page draws nothing that needs one.
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

/** Unpacks the browser where none is yet: once, before two tests would do so at the same time and use half of one. */
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

/** Packages of fonts for what the browser's own has no letters of: Chinese and Arabic. */
const FONT_PACKAGES = ["noto-sans-sc", "noto-sans-arabic"];

/**
 * Where the browser finds fonts: its own and those of packages, so that a page looks the same on every machine. It takes
 * fonts of a system only as they are, and packages hold them compressed for the web: so they are unpacked once.
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
  // Whole or not at all: another test may look for it at the same moment.
  await rename(made, folder).catch(() => rm(made, { recursive: true, force: true }));
  return file;
}

function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

const SCREENSHOTS = join(import.meta.dirname, "../../.artifacts/screenshots");

/** With `SCREENSHOTS=1`, writes what the page shows to `.artifacts/screenshots`, for people to look at. Without it, does nothing. */
export async function screenshot(page: Page, name: string, options: { fullPage?: boolean } = {}): Promise<void> {
  if (process.env.SCREENSHOTS !== "1") return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), ...options });
}

/** Collects what a page complains of: errors, and what the content security policy refused. Empty is good. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`${error.name}: ${error.message}`));
  page.on("console", (message) => {
    // A refused request or socket is logged as an error by the browser itself; the page shows those in its own words.
    const isOfBrowser = /^(Failed to load resource|WebSocket connection to)/.test(message.text());
    if (message.type() === "error" && !isOfBrowser) complaints.push(message.text());
  });
  return complaints;
}

/** By how many pixels the page is wider than its window: anything above 0 scrolls sideways. */
export function overflowOf(page: Page): Promise<number> {
  return page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth));
}

/** Resolves once the images in sight are there; those further down are left to load when they are scrolled to. */
export async function imagesInSight(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const seen = [...document.images].filter((image) => {
      const { top, bottom } = image.getBoundingClientRect();
      return bottom > 0 && top < innerHeight;
    });
    await Promise.all(seen.map((image) => image.decode().catch(() => undefined)));
  });
}
