import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Page, Request } from "playwright-core";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Job } from "../../schemas/job.ts";
import { overflowOf, screenshot } from "../support/browser.ts";
import { develop, expectAccessible, lamp, ownProduct, refuse, visitorOf } from "../support/page.ts";
import { until } from "../support/until.ts";

/** The view of spend, and what a client with a spend limit sees. */

const TOKENS = { studio: "dr_spending_studio", atelier: "dr_spending_atelier" };
const OPERATOR_TOKEN = "dr_spending_operator";
const hashOf = (token: string) => createHash("sha256").update(token).digest("hex");

/** Room for four images, and an alert from the second on. */
const LIMITS = { studio: { monthly: 0.3, alertAt: 0.5 } };

const own = ownProduct({
  env: {
    AUTH_MODE: "token",
    CLIENT_TOKENS: JSON.stringify({ studio: hashOf(TOKENS.studio), atelier: hashOf(TOKENS.atelier) }),
    ADMIN_TOKEN_SHA256: hashOf(OPERATOR_TOKEN),
    SIGNING_SECRET: "a signing secret for the test of spend",
    PRICES: JSON.stringify({ "qwen-image-max": 0.075 }),
    CLIENT_BUDGETS: JSON.stringify(LIMITS),
  },
});
const visitor = visitorOf(() => own.product.baseUrl);

let page: Page;
beforeEach(() => {
  page = visitor.page;
});

async function submit(client: keyof typeof TOKENS, prompt: string): Promise<Job> {
  const authorization = `Bearer ${TOKENS[client]}`;
  const response = await fetch(`${own.product.baseUrl}/api/workflows/image-from-text`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization },
    body: JSON.stringify({ prompt, model: "qwen-image-max" }),
  });
  expect(response.status).toBe(202);
  const { id } = (await response.json()) as Job;
  return until(
    `${prompt} is done`,
    async () => {
      const read = await fetch(`${own.product.baseUrl}/api/jobs/${id}`, { headers: { authorization } });
      const job = (await read.json()) as Job;
      return job.done ? job : undefined;
    },
    60_000,
  );
}

async function signIn(token: string): Promise<void> {
  await page.getByLabel("Token").fill(token);
  await page.getByLabel("Token").press("Enter");
  await lamp(page, "live").waitFor();
}

/** The texts of the cells of a table with one row. */
const cells = (label: string) =>
  page.getByRole("region", { name: label }).locator("tbody tr").locator("th, td").allInnerTexts();

describe("spend", () => {
  let risky: Job;
  beforeAll(async () => {
    await own.product.emulator.addFault("cut-after-billing x1 prompt=paid twice");
    risky = await submit("studio", "paid twice, perhaps");
    expect(risky.cost).toMatchObject({ charged: 0.075, atRisk: 0.075 });
    await submit("atelier", "paid by another");
  });

  it("shows a client its month by day and model, what is at risk and the limit, and saves it as CSV", async () => {
    await signIn(TOKENS.studio);
    // The form shows a note while most of the limit is used.
    await page.getByText("$0.15 of $0.30 are used of this month's spend limit.").waitFor();
    await page.getByText(/about \$0\.08 an image, one image a job/).waitFor();
    await expectAccessible(page);
    await page.getByRole("link", { name: "See Spend" }).press("Enter");
    await page.getByRole("heading", { name: "Spend", level: 1 }).waitFor();
    await page.getByText("Its bill lies between $0.075 and $0.15.").waitFor();
    await page.getByText("At least 50 % of the limit is used.").waitFor();
    await page.getByText("$0.15 of $0.30 are used: $0.075 charged, $0.075 at risk.").waitFor();
    expect(await cells("Spent by client and model")).toEqual([
      "studio",
      "qwen-image-max\nabout $0.08 an image",
      "1",
      "1",
      "$0.075",
      "$0.075",
    ]);
    await page
      .getByRole("img", { name: /^Spent by day in .+: on one day, the most on the \d+\. with \$0\.075\.$/ })
      .waitFor();
    await page.getByText("As a table").press("Enter");
    const [day = "", ...amounts] = await cells(
      `Spent by day in ${await page.getByRole("heading", { level: 2 }).innerText()}`,
    );
    expect(day).toMatch(/^\d+ \w+ \d{4}$/);
    expect(amounts).toEqual(["1", "1", "$0.075", "$0.075"]);
    await expectAccessible(page);
    await screenshot(page, "product-spend", { fullPage: true });

    const downloading = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export CSV" }).press("Enter");
    const download = await downloading;
    expect(download.suggestedFilename()).toMatch(/^darkroom-spend-\d{4}-\d\d\.csv$/);
    expect(await readFile(await download.path(), "utf8")).toMatch(/studio,qwen-image-max,1,1,0\.075,0\.075,USD/);

    await page.getByRole("button", { name: "Month before" }).press("Enter");
    await page.getByText("Nothing was spent in this month.").last().waitFor();
    await page.getByRole("button", { name: "Month after" }).press("Enter");
    await page.getByText("Its bill lies between $0.075 and $0.15.").waitFor();
    expect(await page.getByRole("button", { name: "Month after" }).getAttribute("aria-disabled")).toBe("true");
    for (const width of [390, 720]) {
      await page.setViewportSize({ width, height: 800 });
      await expect.poll(() => overflowOf(page)).toBe(0);
    }
    await page.emulateMedia({ colorScheme: "dark" });
    await expectAccessible(page);
  });

  it("is on the page of each job, and not on a shared one", async () => {
    await signIn(TOKENS.studio);
    await page.goto(`${own.product.baseUrl}/jobs/${risky.id}`);
    const cost = "$0.075, and $0.075 at risk: no answer came, and upstream may have billed it";
    await page.getByText(cost, { exact: true }).waitFor();
    await expectAccessible(page);
    const share = await fetch(`${own.product.baseUrl}/api/jobs/${risky.id}/share`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${TOKENS.studio}` },
      body: '{"hours":1}',
    });
    const { url } = (await share.json()) as { url: string };
    const stranger = await visitor.open();
    await stranger.goto(url);
    await stranger.getByRole("heading", { name: "Parameters" }).waitFor();
    expect(await stranger.getByText("at risk").count()).toBe(0);
    const shared = (await (await fetch(url.replace("/shared/", "/api/jobs/"))).json()) as Job;
    expect(shared.cost).toBeNull();
  });

  it("shows the operator every client, or the chosen one", async () => {
    await signIn(OPERATOR_TOKEN);
    await page.getByRole("link", { name: "Spend", exact: true }).press("Enter");
    const rows = page.getByRole("region", { name: "Spent by client and model" }).locator("tbody th");
    await expect.poll(() => rows.allInnerTexts()).toEqual(["studio", "atelier"]);
    await expectAccessible(page);
    await page.getByLabel("Client", { exact: true }).selectOption("atelier");
    await expect.poll(() => rows.allInnerTexts()).toEqual(["atelier"]);
    await page.getByText("No spend limit is set.").waitFor();
    await page.getByText("Nothing is at risk").waitFor();
  });

  it("says why it cannot be shown, and shows it once it can", async () => {
    await page.route("**/api/usage?*", (route) => refuse(route, "internal"));
    await signIn(TOKENS.atelier);
    await page.goto(`${own.product.baseUrl}/spend`);
    await page.getByRole("alert").filter({ hasText: "The spend could not be loaded." }).waitFor();
    await expectAccessible(page);
    await page.unroute("**/api/usage?*");
    await page.getByText("No spend limit is set.").waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
  });

  it("ignores the late answer of a month that was left", async () => {
    await signIn(TOKENS.atelier);
    let asked = 0;
    const held = Promise.withResolvers<void>();
    const month = new Date().toISOString().slice(0, 7);
    await page.route(`**/api/usage?from=${month}*`, async (route) => {
      asked += 1;
      if (asked === 1) return refuse(route, "internal");
      await held.promise;
      return route.continue();
    });
    await page.goto(`${own.product.baseUrl}/spend`);
    await page.getByRole("alert").filter({ hasText: "The spend could not be loaded." }).waitFor();
    await until("it is asked for again", () => (asked > 1 ? true : undefined), 60_000);
    const isLate = (request: Request) => request.url().includes(`from=${month}`);
    // The page may abort the request as soon as the month is left.
    const ended = Promise.race([
      page.waitForEvent("requestfinished", { predicate: isLate, timeout: 60_000 }),
      page.waitForEvent("requestfailed", { predicate: isLate, timeout: 60_000 }),
    ]);
    await page.getByRole("button", { name: "Month before" }).press("Enter");
    await page.getByText("Nothing was spent in this month.").last().waitFor();
    held.resolve();
    await ended;
    // Two frames are drawn after the answer.
    await page.evaluate(
      () => new Promise<void>((done) => requestAnimationFrame(() => requestAnimationFrame(() => done()))),
    );
    expect(await page.getByText("Loading the spend").count()).toBe(0);
    expect(await page.getByText("Nothing was spent in this month.").count()).toBeGreaterThan(0);
    await page.unroute(`**/api/usage?from=${month}*`);
  });

  it("leads back through the 13 months that are kept before this one", async () => {
    await signIn(TOKENS.atelier);
    await page.goto(`${own.product.baseUrl}/spend`);
    const before = page.getByRole("button", { name: "Month before" });
    const heading = page.getByRole("heading", { level: 2 }).first();
    const seen = new Set([await heading.innerText()]);
    while ((await before.getAttribute("aria-disabled")) !== "true" && seen.size < 20) {
      await before.press("Enter");
      seen.add(await heading.innerText());
    }
    expect(seen.size).toBe(1 + 13);
  });

  it("says what to do when a submission has no room in the limit", async () => {
    await submit("studio", "the third");
    await submit("studio", "the fourth");
    await signIn(TOKENS.studio);
    await page.getByText("$0.30 of $0.30 are used of this month's spend limit.").waitFor();
    await develop(page, "the fifth");
    const alert = page.getByRole("alert").filter({ hasText: "The spend limit of this month is reached." });
    await alert
      .getByText(/\$0\.30 of \$0\.30 are used: \$0\.225 charged, \$0\.075 at risk\. It starts again on 1 \w+/)
      .waitFor();
    await alert.getByText(/ask for fewer images or a cheaper model, cancel jobs that wait/).waitFor();
    await expectAccessible(page);
    await screenshot(page, "product-limit-reached");
    await expect.poll(() => page.getByLabel("Prompt", { exact: true }).inputValue()).toBe("the fifth");
  });
});
