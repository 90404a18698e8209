import type { Page, Route } from "playwright-core";
import sharp from "sharp";
import { beforeEach, describe, expect, it } from "vitest";
import { imagesInSight, screenshot } from "../support/browser.ts";
import { card, choose, develop, expectAccessible, hold, ownProduct, refuse, visitorOf } from "../support/page.ts";
import type { Product } from "../support/product.ts";
import { until } from "../support/until.ts";

/** Short, so that an attempt that died with the Worker is found soon; much longer than the emulator's latency. */
const BUDGET = { QWEN_TIMEOUT_MS: "10000" };

const own = ownProduct({ emulator: { images: "drawn", latencyMs: 400 }, env: BUDGET });
const visitor = visitorOf(() => own.product.baseUrl);

let product: Product;
let page: Page;
beforeEach(() => {
  product = own.product;
  page = visitor.page;
});

async function imagesMade(prompt: string): Promise<number> {
  return (await product.emulator.ledger(prompt)).images.length;
}

/** Dispatches the event of a paste or a drop of an image. */
async function bringImage(on: Page, how: "paste" | "drop", name: string, background: string): Promise<void> {
  const png = await sharp({ create: { width: 300, height: 300, channels: 3, background } })
    .png()
    .toBuffer();
  await on.evaluate(
    ([kind, file, base64]) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], file, { type: "image/png" }));
      const options = { bubbles: true, cancelable: true };
      const event =
        kind === "paste"
          ? new ClipboardEvent(kind, { ...options, clipboardData: transfer })
          : new DragEvent(kind, { ...options, dataTransfer: transfer });
      document.querySelector("main")?.querySelector("form, h1")?.dispatchEvent(event);
    },
    [how, name, png.toString("base64")] as const,
  );
}

describe("a prompt", () => {
  it("becomes an image that is shown in its shape, opened, enlarged and downloaded", async () => {
    await page.getByText("Nothing on the line yet").waitFor();
    await expectAccessible(page);
    await product.emulator.addFault(hold("a red bicycle"));
    await choose(page, "9:16 928×1664");
    await develop(page, "a red bicycle in the rain");
    await card(page, "a red bicycle").getByText("Developing").waitFor();
    const blank = await card(page, "a red bicycle").locator("[data-tone]").first().boundingBox();
    await product.emulator.release("a red bicycle");
    const image = card(page, "a red bicycle").locator("img[data-developed]");
    await image.waitFor();
    const box = await image.boundingBox();
    expect((box?.width ?? 0) / (box?.height ?? 1)).toBeCloseTo(928 / 1664, 1);
    expect([Math.round(box?.x ?? -1), Math.round(box?.y ?? -1)]).toEqual([
      Math.round(blank?.x ?? -2),
      Math.round(blank?.y ?? -2),
    ]);

    await page.getByRole("link", { name: "a red bicycle in the rain" }).first().click();
    await page.getByRole("heading", { level: 1, name: "Job: a red bicycle in the rain" }).waitFor();
    expect(new URL(page.url()).pathname).toMatch(/^\/jobs\/job_/);
    await imagesInSight(page);
    await screenshot(page, "product-job");
    await expectAccessible(page);

    const downloading = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download" }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).toMatch(/^a-red-bicycle-in-the-rain-.+\.png$/);
    const saved = await download.path();
    expect(await sharp(saved).metadata()).toMatchObject({ format: "png", width: 928, height: 1664 });

    await page.getByRole("button", { name: "Enlarge the image" }).click();
    const viewer = page.getByRole("dialog");
    await viewer.locator(":focus").waitFor();
    await page.keyboard.press("1");
    await viewer.getByText("100 %").waitFor();
    await screenshot(page, "product-viewer");
    await expectAccessible(page);
    await page.keyboard.press("Escape");
    await viewer.waitFor({ state: "hidden" });
  });

  it("makes one job when it is sent twice by accident", async () => {
    const pressed = Promise.withResolvers<void>();
    await page.route("**/api/workflows/image-from-text", async (route) => {
      await pressed.promise;
      await route.continue();
    });
    await page.getByLabel("Prompt", { exact: true }).fill("pressed in a hurry");
    await page.getByRole("button", { name: "Develop" }).dblclick();
    await page.getByLabel("Prompt", { exact: true }).press("Control+Enter");
    pressed.resolve();
    await card(page, "pressed in a hurry").locator("img[data-developed]").waitFor();
    expect(await card(page, "pressed in a hurry").count()).toBe(1);
    expect(await imagesMade("pressed in a hurry")).toBe(1);
  });

  it("makes one job with each press while the button offers it, also soon after another draft was sent", async () => {
    await page.clock.install();
    await page.reload();
    const prompt = page.getByLabel("Prompt", { exact: true });
    await prompt.fill("the first of two drafts");
    await page.clock.pauseAt(Date.now() + 60_000);
    await page.getByRole("button", { name: "Develop" }).click();
    const inLine = page.getByRole("button", { name: "In line" });
    await inLine.waitFor();
    await page.clock.runFor(1_500);
    const { resolve, promise: sent } = Promise.withResolvers<void>();
    const sendLater = async (route: Route) => {
      await sent;
      await route.continue();
    };
    await page.route("**/api/workflows/image-from-text", sendLater, { times: 1 });
    await prompt.fill("the second of two drafts");
    await prompt.press("Control+Enter");
    await page.getByRole("button", { name: "Sending…" }).waitFor();
    resolve();
    await inLine.waitFor();
    await until("the button to offer another job", async () => {
      await page.clock.runFor(100);
      return (await page.getByRole("button", { name: "Develop" }).isVisible()) || undefined;
    });
    await prompt.press("Control+Enter");
    await expect.poll(() => imagesMade("the second of two drafts")).toBe(2);
    expect(await imagesMade("the first of two drafts")).toBe(1);
  });

  it("keeps its idempotency key over a reload when its answer was lost", async () => {
    const submits = "**/api/workflows/image-from-text";
    await page.route(submits, async (route) => {
      await route.fetch();
      await route.abort();
    });
    await page.getByLabel("Prompt", { exact: true }).fill("answer lost on the way");
    await page.getByRole("button", { name: "Develop" }).click();
    await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
    await page.unroute(submits);
    await page.reload();
    await expect.poll(() => page.getByLabel("Prompt", { exact: true }).inputValue()).toBe("answer lost on the way");
    const answer = page.waitForResponse(submits);
    await page.getByRole("button", { name: "Develop" }).click();
    expect((await answer).headers()["idempotency-replayed"]).toBe("true");
    await card(page, "answer lost").locator("img[data-developed]").waitFor();
    expect(await card(page, "answer lost").count()).toBe(1);
    expect(await imagesMade("answer lost on the way")).toBe(1);
  });

  it("keeps its idempotency key when the press after a lost answer is refused", async () => {
    const submits = "**/api/workflows/image-from-text";
    const develop = page.getByRole("button", { name: "Develop" });
    await page.route(submits, async (route) => {
      await route.fetch();
      await route.abort();
    });
    await page.getByLabel("Prompt", { exact: true }).fill("turned away in between");
    await develop.click();
    await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
    await page.unroute(submits);
    // Longer than the page's own wait, so the page shows the refusal.
    await page.route(submits, (route) => refuse(route, "rate_limited", { "retry-after": "60" }), { times: 1 });
    await develop.click();
    await page.getByRole("alert").getByText("Too many requests").waitFor();
    const answer = page.waitForResponse(submits);
    await develop.click();
    expect((await answer).headers()["idempotency-replayed"]).toBe("true");
    await card(page, "turned away").locator("img[data-developed]").waitFor();
    expect(await card(page, "turned away").count()).toBe(1);
    expect(await imagesMade("turned away in between")).toBe(1);
  });

  it("is sent while an earlier submission is still under way", async () => {
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const submits = "**/api/workflows/image-from-text";
    await page.route(
      submits,
      async (route) => {
        await held;
        await route.continue();
      },
      { times: 1 },
    );
    const prompt = page.getByLabel("Prompt", { exact: true });
    await develop(page, "slow on its way");
    await page.getByRole("button", { name: "Sending…" }).waitFor();
    await prompt.fill("thought of meanwhile");
    await page.getByRole("button", { name: "Develop" }).waitFor();
    await prompt.press("Control+Enter");
    await card(page, "thought of meanwhile").locator("img[data-developed]").waitFor();
    expect(await card(page, "slow on its way").count()).toBe(0);
    letGo();
    await card(page, "slow on its way").locator("img[data-developed]").waitFor();
    expect(await imagesMade("slow on its way")).toBe(1);
    expect(await imagesMade("thought of meanwhile")).toBe(1);
  });

  it("is named in a notice when it was refused while another prompt is in the form", async () => {
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    await page.route(
      "**/api/workflows/image-from-text",
      async (route) => {
        await held;
        await refuse(route, "too_many_pending_jobs", { "retry-after": "60" });
      },
      { times: 1 },
    );
    await develop(page, "one too many");
    await develop(page, "still welcome");
    await card(page, "still welcome").waitFor();
    letGo();
    // The words are in the notice, and for a short time in the live region too.
    await page.getByText("“one too many” was not sent. Too many unfinished jobs.").first().waitFor();
    expect(await page.getByRole("form").getByRole("alert").count()).toBe(0);
  });

  it("shows what upstream would cut, and keeps its draft over a reload", async () => {
    const prompt = `${"many words ".repeat(72)}and the cut tail`;
    await page.getByLabel("Prompt", { exact: true }).fill(prompt);
    await page.getByText(/Upstream would silently cut the last \d+ characters, from “/).waitFor();
    await page.getByText("More options").click();
    await page.getByLabel("Negative prompt").fill("fog");
    await page.getByLabel("Seed", { exact: true }).fill("42");
    await page.reload();
    await expect.poll(() => page.getByLabel("Prompt", { exact: true }).inputValue()).toBe(prompt);
    await expect.poll(() => page.getByLabel("Negative prompt").inputValue()).toBe("fog");
    await expect.poll(() => page.getByLabel("Seed", { exact: true }).inputValue()).toBe("42");
    await page.getByText("As a curl line").click();
    await page.getByText("/api/workflows/image-from-text").waitFor();
    await page.getByText("DashScope", { exact: true }).click();
    await page.getByText("/api/v1/services/aigc/multimodal-generation/generation").waitFor();
    await page.getByText("OpenAI Images", { exact: true }).click();
    await page.getByText("/v1/images/generations").waitFor();
    await expectAccessible(page);
    await screenshot(page, "product-compose");
  });

  it("is refused before it is sent when it is empty, and gets the focus", async () => {
    await page.getByRole("button", { name: "Develop" }).click();
    await page.getByText("Say what to draw.").waitFor();
    await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe("prompt");
  });
});

describe("text for the prompt", () => {
  const promptField = () => page.getByLabel("Prompt", { exact: true });

  /** Fills the clipboard as a spreadsheet or a slide does: with the text and a picture of it. */
  async function copyWithPicture(text: string): Promise<void> {
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.evaluate(async (plain) => {
      const canvas = document.createElement("canvas");
      const picture = new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
      const item = { "text/plain": new Blob([plain], { type: "text/plain" }), "image/png": (await picture) ?? "" };
      await navigator.clipboard.write([new ClipboardItem(item)]);
    }, text);
  }

  it("is pasted as text although the clipboard also holds a picture of it; outside of text fields the picture is used", async () => {
    await copyWithPicture("a table of cells");
    await promptField().click();
    await page.keyboard.press("Control+V");
    await expect.poll(() => promptField().inputValue()).toBe("a table of cells");
    await expect.poll(() => page.getByRole("radio", { name: "From text" }).isChecked()).toBe(true);
    await page.getByRole("button", { name: "Develop" }).focus();
    await page.keyboard.press("Control+V");
    await page.getByText("1 of 3", { exact: true }).waitFor();
  });

  it("is moved by dragging it within the prompt", async () => {
    await promptField().fill("bicycle red");
    await promptField().press("Home");
    await page.keyboard.press("Control+Shift+ArrowRight");
    const box = await promptField().boundingBox();
    if (box === null) throw new Error("the prompt is not drawn");
    await page.mouse.move(box.x + 30, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + 200, box.y + 20, { steps: 5 });
    await page.mouse.up();
    await expect.poll(async () => (await promptField().inputValue()).trim()).toMatch(/^red ?bicycle$/);
  });
});

describe("more options", () => {
  const fold = () => page.locator("details").filter({ hasText: "More options" });
  const isOpen = () => fold().evaluate((details: HTMLDetailsElement) => details.open);

  it("stay open when their last value is removed", async () => {
    await page.getByText("More options").click();
    const negative = page.getByLabel("Negative prompt");
    await negative.fill("fog");
    await page.reload();
    await negative.waitFor();
    await negative.click();
    for (const _ of "fog") await page.keyboard.press("Backspace");
    await expect.poll(() => negative.inputValue()).toBe("");
    await expect.poll(() => isOpen()).toBe(true);
    await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe("negative-prompt");
    await page.getByText("More options").click();
    await expect.poll(() => isOpen()).toBe(false);
  });

  it("are open at first when any of them is set, by a draft or by a repeated job", async () => {
    await page.getByLabel("Prompt", { exact: true }).waitFor();
    await expect.poll(() => isOpen()).toBe(false);
    await page.getByText("More options").click();
    await choose(page, "Low");
    await page.reload();
    await page.getByLabel("Prompt", { exact: true }).waitFor();
    await expect.poll(() => isOpen()).toBe(true);
    await develop(page, "asked with low priority");
    await card(page, "low priority").locator("img[data-developed]").waitFor();
    await choose(page, "Normal");
    await page.reload();
    await page.getByLabel("Prompt", { exact: true }).waitFor();
    await expect.poll(() => isOpen()).toBe(false);
    await page.getByRole("link", { name: "asked with low priority" }).first().click();
    await page.getByRole("button", { name: "Again with changes" }).click();
    await page.getByLabel("Prompt", { exact: true }).waitFor();
    await expect.poll(() => isOpen()).toBe(true);
  });
});

describe("a wrong field", () => {
  it("is unfolded on a phone, stays open when it is corrected, and can be folded again", async () => {
    const phone = await visitor.open({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
    const seed = phone.getByLabel("Seed", { exact: true });
    const toggle = phone.getByRole("button", { name: /Change|Fold/ });
    await toggle.click();
    await seed.fill("4x");
    await phone.getByText("A seed is a whole number").waitFor();
    await toggle.click();
    await seed.waitFor({ state: "hidden" });
    await develop(phone, "with a seed that is none");
    await seed.waitFor();
    await expect.poll(() => phone.evaluate(() => document.activeElement?.id)).toBe("seed");
    await phone.keyboard.press("Backspace");
    await phone.getByText("A seed is a whole number").waitFor({ state: "detached" });
    await phone.keyboard.type("2");
    await expect.poll(() => seed.inputValue()).toBe("42");
    await phone.context().close();
  });

  it("gets the focus on a control that corrects it, whichever of its controls are drawn", async () => {
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
    await choose(page, "From reference");
    for (const address of ["https://localhost/a.png", "https://localhost/b.png"]) {
      await page.getByLabel("Address of an image").fill(address);
      await page.getByRole("button", { name: "Add", exact: true }).click();
    }
    await page.getByLabel("What to change").fill("blend them");
    await choose(page, "Own your sides");
    await page.getByLabel("Width in pixels").fill("1");
    await page.getByRole("button", { name: "Develop" }).click();
    await expect.poll(() => focused()).toBe("Width in pixels");
    // An older draft may have a size that the model does not make, and more images than it takes.
    await page.evaluate(() => {
      const draft = JSON.parse(sessionStorage.getItem("darkroom.draft") ?? "");
      const many = Array.from({ length: 4 }, (_, index) => ({ kind: "url", url: `https://localhost/${index}.png` }));
      sessionStorage.setItem("darkroom.draft", JSON.stringify({ ...draft, size: null, images: many }));
    });
    await page.reload();
    await page.getByText("takes at most 3 images").waitFor();
    await page.getByRole("button", { name: "Develop" }).click();
    await expect.poll(() => focused()).toMatch(/^Move image 1/);
    await page.evaluate(() => {
      const draft = JSON.parse(sessionStorage.getItem("darkroom.draft") ?? "");
      sessionStorage.setItem("darkroom.draft", JSON.stringify({ ...draft, workflow: "image-from-text", size: "7*7" }));
    });
    await page.reload();
    await page.getByRole("button", { name: "Develop" }).click();
    await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute("name"))).toBe("size");
  });
});

describe("reference images", () => {
  it("are uploaded, shown, ordered, and kept for a repeated job", async () => {
    const png = await sharp({ create: { width: 600, height: 400, channels: 3, background: "#c46" } })
      .png()
      .toBuffer();
    await choose(page, "From reference");
    await page.getByRole("button", { name: "Develop" }).click();
    await page.getByText("Add a reference image.").waitFor();
    await page.getByTestId("reference-file").setInputFiles({ name: "bag.png", mimeType: "image/png", buffer: png });
    await page.getByRole("img", { name: "bag.png" }).waitFor();
    await bringImage(page, "paste", "logo.png", "#246");
    await page.getByRole("img", { name: "logo.png" }).waitFor();
    await bringImage(page, "drop", "strap.png", "#4a6");
    await page.getByRole("img", { name: "strap.png" }).waitFor();
    await page.getByRole("button", { name: "Remove image 3, strap.png" }).click();
    await page.getByRole("button", { name: "Move image 2 to the front by one" }).click();
    await page.getByRole("button", { name: "Remove image 1, logo.png" }).click();
    await page
      .getByTestId("reference-file")
      .setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no image") });
    await page.locator("#image-findings").getByText("notes.txt is not an image that upstream takes").waitFor();
    await page
      .getByTestId("reference-file")
      .setInputFiles({ name: "fake.png", mimeType: "image/png", buffer: Buffer.from("hello\n") });
    await page.locator("#image-findings").getByText("fake.png cannot be read as an image").waitFor();
    expect(await page.getByRole("img", { name: "fake.png" }).count()).toBe(0);
    expect(await page.getByRole("region", { name: "Messages" }).getByRole("listitem").count()).toBe(0);
    await page.reload();
    await page.getByRole("img", { name: "bag.png" }).waitFor();
    await expectAccessible(page);
    await page.getByLabel("What to change").fill("give the bag a blue strap");
    await page.getByRole("button", { name: "Develop" }).click();
    await card(page, "blue strap").locator("img[data-developed]").waitFor();
    await screenshot(page, "product-reference");

    await page.getByRole("link", { name: "give the bag a blue strap" }).first().click();
    await page.getByText("PNG, 600×400").waitFor();
    await page.evaluate(() => {
      localStorage.clear();
      sessionStorage.clear();
    });
    await page.getByRole("button", { name: "Again with changes" }).click();
    await page.getByRole("img", { name: "Image 1" }).waitFor();
    await expect.poll(() => page.getByLabel("What to change").inputValue()).toBe("give the bag a blue strap");
  });

  it("are part of a request that is sent while they are still being read", async () => {
    await choose(page, "From reference");
    await page.getByLabel("What to change").fill("with an image that is read slowly");
    await page.evaluate(() => {
      const decode = createImageBitmap;
      const { promise, resolve } = Promise.withResolvers<void>();
      Object.assign(window, {
        goOn: resolve,
        createImageBitmap: async (file: Blob) => {
          await promise;
          return decode(file);
        },
      });
    });
    await bringImage(page, "drop", "slow.png", "#735");
    const reading = page.getByRole("button", { name: "Reading the images…" });
    await reading.waitFor();
    await page.getByLabel("What to change").press("Control+Enter");
    await page.getByRole("status").getByText("Reading the images…").waitFor({ state: "attached" });
    expect(await page.getByText("Add a reference image.").count()).toBe(0);
    await page.evaluate(() => (window as unknown as { goOn(): void }).goOn());
    await page.getByRole("img", { name: "slow.png" }).waitFor();
    await page.getByRole("button", { name: "Develop" }).click();
    await card(page, "read slowly").locator("img[data-developed]").waitFor();
    expect(await imagesMade("with an image that is read slowly")).toBe(1);
  });

  it("are kept longer when they are used, and named when this browser no longer has them", async () => {
    await choose(page, "From reference");
    await bringImage(page, "drop", "old.png", "#537");
    await page.getByRole("img", { name: "old.png" }).waitFor();
    /** Changes the files in the page's own database, and returns when the last one was used. */
    const files = (change: "date back" | "remove" | "read") =>
      page.evaluate(
        (what) =>
          new Promise<number | null>((resolve, reject) => {
            const opening = indexedDB.open("darkroom-files");
            opening.onerror = () => reject(opening.error);
            opening.onsuccess = () => {
              const transaction = opening.result.transaction("files", "readwrite");
              const store = transaction.objectStore("files");
              let usedAtMs: number | null = null;
              if (what === "remove") store.clear();
              store.openCursor().onsuccess = ({ target }) => {
                const cursor = (target as IDBRequest<IDBCursorWithValue | null>).result;
                if (cursor === null) return;
                if (what === "date back") cursor.update({ ...cursor.value, usedAtMs: 1 });
                else usedAtMs = cursor.value.usedAtMs;
                cursor.continue();
              };
              transaction.oncomplete = () => {
                opening.result.close();
                resolve(usedAtMs);
              };
            };
          }),
        change,
      );
    await expect.poll(() => files("read")).not.toBeNull();
    await files("date back");
    await page.reload();
    await page.getByRole("img", { name: "old.png" }).waitFor();
    await expect.poll(() => files("read")).toBeGreaterThan(1);
    await files("remove");
    await page.reload();
    const lost = page.getByText("No longer in this browser: add it again");
    await lost.waitFor();
    await expectAccessible(page);
    await bringImage(page, "drop", "old.png", "#537");
    await page.getByRole("img", { name: "old.png" }).waitFor();
    expect(await lost.count()).toBe(0);
    await expect.poll(() => files("read")).not.toBeNull();
    // A sign-out in another tab removes the files as soon as this page has begun to read one.
    await page.addInitScript(() => {
      const { get } = IDBObjectStore.prototype;
      IDBObjectStore.prototype.get = function (key) {
        const request = get.call(this, key);
        this.transaction.db.transaction("files", "readwrite").objectStore("files").clear();
        return request;
      };
    });
    await page.reload();
    await page.getByRole("img", { name: "old.png" }).waitFor();
    expect(await files("read")).toBeNull();
  });

  it("are added once for each paste", async () => {
    // As on plain http beyond localhost: without a digest, the page cannot see that two pictures are equal.
    await page.addInitScript(() => Object.defineProperty(Crypto.prototype, "subtle", { get: () => undefined }));
    await page.reload();
    await choose(page, "From reference");
    for (const name of ["one.png", "two.png"]) {
      await bringImage(page, "paste", name, "#246");
      await page.getByRole("img", { name }).first().waitFor();
    }
    await page.getByText("2 of 3", { exact: true }).waitFor();
  });

  it("are added to the draft's images before the server has answered how many fit", async () => {
    await choose(page, "From reference");
    await bringImage(page, "paste", "held.png", "#246");
    await page.getByRole("img", { name: "held.png" }).waitFor();
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    await page.route("**/api/limits", async (route) => {
      await held;
      await route.continue();
    });
    await page.reload();
    await page.getByText("Loading the form").waitFor();
    const names = () =>
      page.evaluate(() => {
        const { images } = JSON.parse(localStorage.getItem("darkroom.draft") ?? "") as { images: { name: string }[] };
        return images.map(({ name }) => name);
      });
    for (const [name, color] of [
      ["early.png", "#4a6"],
      ["third.png", "#a46"],
      ["fourth.png", "#46a"],
    ] as const) {
      await bringImage(page, "drop", name, color);
      await expect.poll(names).toContain(name);
    }
    letGo();
    await page.locator("#image-findings").getByText("takes at most 3 images: remove some").waitFor();
    await page.getByRole("img", { name: "third.png" }).waitFor();
    expect(await names()).toEqual(["held.png", "early.png", "third.png", "fourth.png"]);
  });

  it("are added by address, and a wrong address is named", async () => {
    await choose(page, "From reference");
    await page.getByLabel("Address of an image").fill("ftp://example.com/a.png");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByText("An address starts with https:// or http://.").waitFor();
    await page.getByLabel("Address of an image").fill("http://localhost:9/a.png");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByRole("button", { name: "Remove image 1, http://localhost:9/a.png" }).waitFor();
  });
});
