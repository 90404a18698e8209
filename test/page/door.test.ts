import { createHash } from "node:crypto";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Job, JobList } from "../../schemas/job.ts";
import { card, choose, develop, expectAccessible, hold, isAtEnd, lamp, visitorOf } from "../support/page.ts";
import { type Product, startProduct } from "../support/product.ts";
import { until } from "../support/until.ts";

const visitor = visitorOf();
let page: Page;
beforeEach(() => {
  page = visitor.page;
});

describe("a short quota", () => {
  let slow: Product;

  beforeAll(async () => {
    slow = await startProduct({
      env: { LANE_LIMITS: JSON.stringify({ "qwen-image-max": { starts: 1, periodMs: 20_000 } }) },
    });
  });
  afterAll(() => slow?.stop());

  it("shows each job's place in line with a countdown, and then the next place", async () => {
    await page.goto(slow.baseUrl);
    await lamp(page, "live").waitFor();
    await page.getByText("1 start in 20 s for the whole account").waitFor();
    for (const prompt of ["first of three", "second of three", "third of three"]) {
      await develop(page, prompt);
      await card(page, prompt).waitFor();
    }
    await card(page, "first of three").locator("img[data-developed]").waitFor();
    // The countdown on the third card, in seconds; undefined while it shows none.
    const left = async () => {
      const text = await card(page, "third of three").innerText();
      const [, minutes = "0", seconds] = /starts in about (?:(\d+):)?(\d+)/.exec(text) ?? [];
      return seconds === undefined ? undefined : Number(minutes) * 60 + Number(seconds);
    };
    const before = await until("a countdown", left);
    await until("the countdown to go on", async () => ((await left()) ?? before) < before || undefined);
    // It is next only from the start of the second job until its own start, so this is checked at once.
    await card(page, "third of three").getByText("Next in line").waitFor({ timeout: 60_000 });
    await card(page, "second of three").locator("img[data-developed]").waitFor({ timeout: 60_000 });
  }, 180_000);
});

describe("a Worker that is not set up", () => {
  it("shows what is missing, and opens the page once that is set", async () => {
    const broken = await startProduct({ env: { QWEN_REGION: "mars" } });
    try {
      await page.goto(broken.baseUrl);
      await page.getByRole("heading", { name: "Not set up yet" }).waitFor();
      await page.getByText("QWEN_REGION").waitFor();
      await expectAccessible(page);
      await broken.kill("worker");
      await broken.restart({ QWEN_REGION: "sg" });
      await page.getByRole("heading", { name: "Prints" }).waitFor();

      // The page shows changes that happened while the gate was shut.
      await lamp(page, "live").waitFor();
      await develop(page, "deleted behind a shut gate");
      await card(page, "deleted behind").locator("img[data-developed]").waitFor();
      const path = await card(page, "deleted behind").getByRole("link").first().getAttribute("href");
      await broken.kill("worker");
      await broken.restart({ QWEN_REGION: "mars" });
      await page.getByRole("heading", { name: "Not set up yet" }).waitFor();
      await page.route("**/api/health", (route) => route.abort());
      await broken.kill("worker");
      await broken.restart({ QWEN_REGION: "sg" });
      const { status } = await fetch(`${broken.baseUrl}/api${path}`, { method: "DELETE" });
      expect(status).toBe(204);
      await page.unroute("**/api/health");
      await lamp(page, "live").waitFor();
      await card(page, "deleted behind").waitFor({ state: "detached" });
    } finally {
      await broken.stop();
    }
  });
});

const OPERATOR_TOKEN = "dr_browser-test-operator";

describe("signing in", () => {
  let guarded: Product;
  const token = "dr_browser-test-token";

  beforeAll(async () => {
    const hash = createHash("sha256").update(token).digest("hex");
    guarded = await startProduct({
      env: {
        AUTH_MODE: "token",
        CLIENT_TOKENS: JSON.stringify({
          studio: hash,
          atelier: createHash("sha256").update("dr_atelier").digest("hex"),
        }),
        ADMIN_TOKEN_SHA256: createHash("sha256").update(OPERATOR_TOKEN).digest("hex"),
        SIGNING_SECRET: "a signing secret for the browser test",
      },
    });
  });
  afterAll(() => guarded?.stop());

  it("requires a token, shows images by the session, and keeps no token in the browser", async () => {
    await page.goto(guarded.baseUrl);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await expectAccessible(page);
    await page.getByLabel("Token").fill("dr_wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This token is not known here.").waitFor();
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await lamp(page, "live").waitFor();
    await develop(page, "behind the door");
    await card(page, "behind the door").locator("img[data-developed]").waitFor();
    await page.getByRole("link", { name: "behind the door" }).first().click();
    await page.getByRole("link", { name: "Download" }).waitFor();
    const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie);
    expect(kept).not.toContain(token);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage }) + document.body.textContent)).not.toContain(
      "behind the door",
    );
    await page.goBack();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  });

  it("keeps nothing of a client that signs out while a file is read", async () => {
    await page.goto(guarded.baseUrl);
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await lamp(page, "live").waitFor();
    await choose(page, "From reference");
    await page.evaluate(() => {
      const digest = crypto.subtle.digest.bind(crypto.subtle);
      const released = new Promise<void>((resolve) => Object.assign(window, { release: resolve }));
      crypto.subtle.digest = (...given) => released.then(() => digest(...given));
    });
    const buffer = await sharp({ create: { width: 4, height: 4, channels: 3, background: "red" } })
      .png()
      .toBuffer();
    await page.getByTestId("reference-file").setInputFiles({ name: "secret.png", mimeType: "image/png", buffer });
    await page.getByRole("button", { name: "Reading the images" }).waitFor();
    // The page that was signed out stays, as it does for as long as the next one is on its way.
    const left = page.waitForRequest((request) => request.isNavigationRequest());
    await page.route(`${guarded.baseUrl}/`, (route) => route.fulfill({ status: 204 }));
    await page.getByRole("button", { name: "Sign out" }).click();
    await left;
    const kept = await page.evaluate(async () => {
      (window as unknown as { release: () => void }).release();
      const button = document.querySelector("button[type=submit]");
      while (button?.textContent?.startsWith("Reading")) await new Promise(requestAnimationFrame);
      const opening = indexedDB.open("darkroom-files");
      await new Promise((resolve) => opening.addEventListener("success", resolve));
      const counting = opening.result.transaction("files").objectStore("files").count();
      await new Promise((resolve) => counting.addEventListener("success", resolve));
      return {
        files: counting.result,
        written: JSON.stringify({ ...localStorage }) + sessionStorage["darkroom.draft"],
      };
    });
    expect(kept.files).toBe(0);
    expect(kept.written).not.toContain("secret.png");
    await page.unroute(`${guarded.baseUrl}/`);
    await page.reload();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  });

  it("shows an operator everyone's jobs", async () => {
    await fetch(`${guarded.baseUrl}/api/workflows/image-from-text`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ prompt: "seen by the operator" }),
    });
    await page.goto(guarded.baseUrl);
    await page.getByLabel("Token").fill(OPERATOR_TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    await lamp(page, "live").waitFor();
    await page.locator('header [data-role="operator"]').waitFor();
    await card(page, "seen by the operator").locator("img[data-developed]").waitFor();
    await card(page, "seen by the operator").getByText("studio · qwen-image-max").waitFor();
  });

  it("lets an operator submit for a client that is chosen", async () => {
    await page.goto(guarded.baseUrl);
    await page.getByLabel("Token").fill(OPERATOR_TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    const client = page.getByLabel("For client");
    await develop(page, "for somebody else");
    await page.getByText("Choose the client that the image is for.").waitFor();
    await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe("client");
    await expectAccessible(page);
    expect(await client.getByRole("option").allInnerTexts()).toEqual(["Choose a client", "atelier", "studio"]);
    await client.selectOption("studio");
    await develop(page, "for somebody else");
    await card(page, "for somebody else").getByText("studio · qwen-image-max").waitFor();
    const url = `${guarded.baseUrl}/api/jobs?limit=1`;
    const { jobs } = (await (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).json()) as {
      jobs: { prompt: string }[];
    };
    expect(jobs[0]?.prompt).toBe("for somebody else");
    await page.reload();
    await client.waitFor();
    await expect.poll(() => client.inputValue()).toBe("studio");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await lamp(page, "live").waitFor();
    await page.getByRole("button", { name: "Develop" }).waitFor();
    expect(await client.count()).toBe(0);
  });

  it("reloads every tab when another tab signs in as another client", async () => {
    await page.goto(guarded.baseUrl);
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await lamp(page, "live").waitFor();
    await page.evaluate(() => Object.assign(window, { ofStudio: true }));
    const other = await page.context().newPage();
    await other.goto(guarded.baseUrl);
    await other.getByRole("button", { name: "Sign out" }).click();
    await other.getByLabel("Token").fill(OPERATOR_TOKEN);
    await other.getByRole("button", { name: "Sign in" }).click();
    await lamp(other, "live").waitFor();
    await page.locator('header [data-role="operator"]').waitFor();
    expect(await page.evaluate(() => "ofStudio" in window)).toBe(false);
  });

  it("repeats a job that an operator opened by its address for its client, or asks for one when the list lacks the job", async () => {
    const response = await fetch(`${guarded.baseUrl}/api/workflows/image-from-text`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ prompt: "of a client that is not told" }),
    });
    const { id } = (await response.json()) as { id: string };
    await page.goto(guarded.baseUrl);
    await page.getByLabel("Token").fill(OPERATOR_TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    const client = page.getByLabel("For client");
    await client.selectOption("atelier");
    // A job that is opened by its address does not name its client.
    const open = () => page.goto(`${guarded.baseUrl}/jobs/${id}`);
    await open();
    await page.getByRole("button", { name: "Again with changes" }).click();
    await page.getByLabel("Prompt", { exact: true }).waitFor();
    await expect.poll(() => client.inputValue()).toBe("studio");
    await open();
    await page.getByRole("link", { name: "Download" }).waitFor();
    await page.getByRole("button", { name: "Again", exact: true }).click();
    const jobs = async () => {
      const answer = await fetch(`${guarded.baseUrl}/api/jobs`, { headers: { authorization: `Bearer ${token}` } });
      return ((await answer.json()) as JobList).jobs.filter(({ prompt }) => prompt === "of a client that is not told");
    };
    await expect.poll(async () => (await jobs()).length).toBe(2);

    await page.route(/\/api\/jobs\?.*before=/, (route) =>
      route.fulfill({ json: { jobs: [], nextCursor: null, feedCursor: null } satisfies JobList }),
    );
    await open();
    await page.getByRole("button", { name: "Again with changes" }).click();
    await page.getByLabel("Prompt", { exact: true }).waitFor();
    await expect.poll(() => client.inputValue()).toBe("");
    await page.getByRole("button", { name: "Develop" }).click();
    await page.getByText("Choose the client that the image is for.").waitFor();
    // In the list the job has its client.
    await page.getByRole("link", { name: "of a client that is not told" }).first().click();
    await page.getByRole("button", { name: "Again with changes" }).click();
    await page.getByLabel("Prompt", { exact: true }).waitFor();
    await expect.poll(() => client.inputValue()).toBe("studio");
  });

  it("uses the print of a job that an operator opened by its address for the job's client", async () => {
    const response = await fetch(`${guarded.baseUrl}/api/workflows/image-from-text`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ prompt: "a print of studio" }),
    });
    const { id } = (await response.json()) as { id: string };
    // It has ended, so that no feed brings it.
    await until("a print", async () => {
      const answer = await fetch(`${guarded.baseUrl}/api/jobs/${id}`, {
        headers: { authorization: `Bearer ${token}` },
      });
      return ((await answer.json()) as Job).done || undefined;
    });
    await page.goto(guarded.baseUrl);
    await page.getByLabel("Token").fill(OPERATOR_TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    const client = page.getByLabel("For client");
    await client.waitFor();
    // The first page of the list, which names each job's client, does not hold it.
    await page.route(/\/api\/jobs\?(?!.*before=)/, (route) =>
      route.fulfill({ json: { jobs: [], nextCursor: null, feedCursor: null } satisfies JobList }),
    );
    const refer = async () => {
      await page.goto(`${guarded.baseUrl}/jobs/${id}`);
      await page.getByRole("button", { name: "Use as reference" }).click();
      await client.waitFor();
    };
    await refer();
    await expect.poll(() => client.inputValue()).toBe("studio");
    await page.getByRole("img", { name: "a print of studio" }).waitFor();
    await page.getByRole("button", { name: /^Remove image 1/ }).click();
    await client.selectOption("atelier");
    await refer();
    await page.getByText("This print belongs to studio, and the form is for atelier").first().waitFor();
    await client.selectOption("studio");
    await page.route(/\/api\/jobs\?.*before=/, (route) =>
      route.fulfill({ json: { jobs: [], nextCursor: null, feedCursor: null } satisfies JobList }),
    );
    await refer();
    await page.getByText("The server did not say whose print this is").first().waitFor();
  });

  it("keeps each draft of an operator with its client, and takes no print of another client", async () => {
    await fetch(`${guarded.baseUrl}/api/workflows/image-from-text`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ prompt: "made for studio" }),
    });
    await page.goto(guarded.baseUrl);
    await page.getByLabel("Token").fill(OPERATOR_TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    const client = page.getByLabel("For client");
    const prompt = page.getByLabel("Prompt", { exact: true });
    await client.selectOption("atelier");
    await prompt.fill("a secret of atelier");
    await card(page, "made for studio").locator("img[data-developed]").waitFor();
    await card(page, "made for studio").hover();
    await card(page, "made for studio").getByRole("button", { name: "Use as reference" }).click();
    await page.getByText("This print belongs to studio, and the form is for atelier").first().waitFor();
    await expect.poll(() => page.getByRole("radio", { name: "From text" }).isChecked()).toBe(true);

    await card(page, "made for studio").getByRole("button", { name: "Again with changes" }).click();
    await expect.poll(() => prompt.inputValue()).toBe("made for studio");
    await expect.poll(() => client.inputValue()).toBe("studio");
    await page.reload();
    await page.getByText("Put aside: “a secret of atelier” for atelier").waitFor();
    await expect.poll(() => client.inputValue()).toBe("studio");
    await page.getByRole("button", { name: "Bring back" }).click();
    await expect.poll(() => prompt.inputValue()).toBe("a secret of atelier");
    await expect.poll(() => client.inputValue()).toBe("atelier");
    await page.getByRole("button", { name: "Develop" }).click();
    await card(page, "a secret of atelier").getByText("atelier · qwen-image-max").waitFor();
  });
});

describe("more clients than an operator's page opens feeds for", () => {
  let crowded: Product;
  const token = "dr_crowd-0";

  beforeAll(async () => {
    const names = Array.from({ length: 51 }, (_, index) => `crowd-${index}`);
    const hashed = names.map((name) => [name, createHash("sha256").update(`dr_${name}`).digest("hex")]);
    crowded = await startProduct({
      env: {
        AUTH_MODE: "token",
        CLIENT_TOKENS: JSON.stringify(Object.fromEntries(hashed)),
        ADMIN_TOKEN_SHA256: createHash("sha256").update(OPERATOR_TOKEN).digest("hex"),
        SIGNING_SECRET: "a signing secret for the browser test",
      },
    });
  });
  afterAll(() => crowded?.stop());

  it("are polled: deleted jobs disappear, and old jobs are updated", async () => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
    const submit = async (prompt: string) => {
      const url = `${crowded.baseUrl}/api/workflows/image-from-text`;
      const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ prompt }) });
      return (await response.json()) as { id: string };
    };
    await crowded.emulator.addFault(hold("older than a page"));
    const oldest = await submit("older than a page of newer ones");
    await crowded.emulator.untilHeld("older than a page");
    // One after the other, so that the first two lie beside the oldest: the page draws only what is near the window.
    const newer: { readonly id: string }[] = [];
    for (let index = 1; index <= 24; index++) newer.push(await submit(`newer ${index}.`));

    await page.clock.install();
    /** Moves the clock, and so makes rounds over the lists, until `look` is true. */
    const rounds = (what: string, look: () => Promise<boolean>) =>
      until(what, async () => {
        await page.clock.fastForward(5_000);
        return (await look()) || undefined;
      });
    const sockets: string[] = [];
    const lists: string[] = [];
    page.on("websocket", (socket) => sockets.push(socket.url()));
    page.on("request", (request) => new URL(request.url()).pathname === "/api/jobs" && lists.push(request.url()));
    await page.goto(crowded.baseUrl);
    await page.getByLabel("Token").fill(OPERATOR_TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    await lamp(page, "polling").waitFor();
    const old = card(page, "older than a page");
    // Each page of the list is fetched when its end becomes visible.
    await until("the old job's card", async () => {
      await page.mouse.wheel(0, 4_000);
      await page.evaluate(() => new Promise(requestAnimationFrame));
      return (await old.isVisible()) || undefined;
    });
    await crowded.emulator.release("older than a page");
    // An image far outside of the window is not loaded, and new jobs may still move the card.
    await rounds("the old job's image", async () => {
      await old.scrollIntoViewIfNeeded();
      return await old.locator("img[data-developed]").isVisible();
    });
    const remove = async (id = "none") => {
      const { status } = await fetch(`${crowded.baseUrl}/api/jobs/${id}`, { method: "DELETE", headers });
      expect(status).toBe(204);
    };
    await remove(newer[0]?.id);
    await rounds("a deleted job to go", async () => (await card(page, "newer 1.").count()) === 0);
    expect(await card(page, "newer 2.").count()).toBe(1);
    // Further down than the newest page, and finished.
    await remove(oldest.id);
    await rounds("an old job to go", async () => (await old.count()) === 0);
    const before = lists.length;
    await rounds("further rounds", async () => lists.length > before + 4);
    expect(sockets).toHaveLength(0);
    await lamp(page, "polling").waitFor();

    // The page is offline while more jobs are made than a page of the list holds.
    await page.evaluate(() => scrollTo(0, 0));
    await page.context().setOffline(true);
    await lamp(page, "reconnecting").waitFor();
    const slept = await Promise.all(Array.from({ length: 30 }, (_, index) => submit(`slept ${index + 1}.`)));
    expect(new Set(slept.map(({ id }) => id)).size).toBe(30);
    await page.context().setOffline(false);
    for (const name of ["slept 30.", "slept 1.", "newer 2."]) {
      await page.evaluate(() => scrollTo(0, 0));
      await rounds(name, async () => {
        if (await card(page, name).isVisible()) return true;
        if (await isAtEnd(page)) await page.evaluate(() => scrollTo(0, 0));
        else await page.mouse.wheel(0, 800);
        return false;
      });
    }
  }, 300_000);
});
