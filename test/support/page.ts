import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page, Route } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import type { ConnectionState } from "../../client/follow.ts";
import type { FaultRuleInput } from "../../emulator/core/fault.ts";
import { PROBLEMS, type ProblemCode } from "../../schemas/problem.ts";
import { complaintsOf, launchBrowser } from "./browser.ts";
import { type Product, type ProductOptions, startProduct } from "./product.ts";

/** The page in a real browser, with the real Worker and the emulator as upstream. */

/** The product of one file of tests; the emulator's faults are removed before each test. */
export function ownProduct(options: ProductOptions): { readonly product: Product } {
  let product: Product;
  beforeAll(async () => {
    product = await startProduct(options);
  });
  afterAll(() => product?.stop());
  afterEach(() => product.emulator.clearFaults());
  return {
    get product() {
      return product;
    },
  };
}

/** The browser of one file of tests. */
export interface Visitor {
  /** New for each test. */
  readonly page: Page;
  /** One more page, in a context of its own. */
  open(options?: BrowserContextOptions): Promise<Page>;
}

/** Opens each page at the address of `home` (left out: at none), and checks at the end of its test that it has no complaints. */
export function visitorOf(home: () => string = () => "about:blank"): Visitor {
  let browser: Browser;
  let page: Page;
  let opened: { readonly page: Page; readonly complaints: readonly string[] }[] = [];

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width: 1440, height: 900 },
      reducedMotion: "reduce",
      ...options,
    });
    const fresh = await context.newPage();
    fresh.setDefaultTimeout(60_000);
    opened.push({ page: fresh, complaints: complaintsOf(fresh) });
    await fresh.goto(home());
    return fresh;
  }

  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    page = await open();
  });
  afterEach(async ({ task }) => {
    const all = opened;
    opened = [];
    if (task.result?.state === "fail") for (const { page } of all) await tell(page);
    await Promise.all(all.map(({ page }) => page.context().close()));
    expect(all.flatMap(({ complaints }) => complaints)).toEqual([]);
  });
  return {
    get page() {
      return page;
    },
    open,
  };
}

/** Prints what the page of a failed test shows, because the failure's message does not. */
async function tell(page: Page): Promise<void> {
  const shown = await page.locator("body").ariaSnapshot({ timeout: 5_000 }).catch(String);
  console.log(`${page.url()} at the end:\n${shown}`);
}

export async function develop(on: Page, prompt: string): Promise<void> {
  await on.getByLabel("Prompt", { exact: true }).fill(prompt);
  await on.getByRole("button", { name: "Develop" }).click();
}

export function card(on: Page, prompt: string) {
  return on.getByRole("article").filter({ hasText: prompt });
}

/** Whether the page is scrolled to its end. The wall's last words are in the document before that, below the window. */
export function isAtEnd(on: Page): Promise<boolean> {
  return on.evaluate(() => scrollY + innerHeight >= document.documentElement.scrollHeight - 1);
}

/** The lamp in the header, in one of its states. */
export function lamp(on: Page, state: ConnectionState) {
  return on.locator(`header [data-state="${state}"]`);
}

/** Presses the label of a radio button, because the button itself is hidden. */
export async function choose(on: Page, name: string): Promise<void> {
  const radio = on.getByRole("radio", { name, exact: true });
  await on.locator("label", { has: radio }).click();
  expect(await radio.isChecked()).toBe(true);
}

export function hold(prompt: string): FaultRuleInput {
  return { match: { prompt }, times: 1, fault: { type: "hold", at: "arrival" } };
}

/** Answers instead of the server, with one of its problems. */
export function refuse(route: Route, code: ProblemCode, headers: Record<string, string> = {}): Promise<void> {
  const [status, title] = PROBLEMS[code];
  const problem = { type: "about:blank", title, status, detail: "Said by the test.", code, requestId: "req_test" };
  return route.fulfill({ status, headers, contentType: "application/problem+json", body: JSON.stringify(problem) });
}

/** The rules of axe that depend on colours; all others depend on the document, which a theme does not change. */
const RULES_OF_COLOURS = { type: "rule" as const, values: ["color-contrast", "link-in-text-block"] };

/** Checks the page by the rules of axe, once its transitions have ended. `colours`: only by those that a theme may break. */
export async function expectAccessible(on: Page, rules: "all" | "colours" = "all"): Promise<void> {
  await on.evaluate(async () => {
    // In a transition a colour has the contrast of neither end. Some animations never end, so they are not awaited.
    const ending = document.getAnimations().filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime));
    await Promise.all(ending.map((one) => one.finished.catch(() => undefined)));
  });
  if (!(await on.evaluate(() => "axe" in window))) await on.evaluate(axe.source);
  const { violations } = await on.evaluate(
    (runOnly) =>
      (window as unknown as { axe: typeof axe }).axe.run({
        resultTypes: ["violations"],
        ...(runOnly === null ? {} : { runOnly }),
      }),
    rules === "all" ? null : RULES_OF_COLOURS,
  );
  expect(violations.map(({ id, nodes }) => ({ id, at: nodes.map(({ html }) => html) }))).toEqual([]);
}
