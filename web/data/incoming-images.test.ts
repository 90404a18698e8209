import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Health, Identity } from "../../schemas/limits.ts";

beforeEach(() => {
  vi.resetModules();
  vi.stubGlobal("location", new URL("https://darkroom.example.com/"));
  vi.stubGlobal("addEventListener", () => undefined);
  vi.stubGlobal("window", globalThis);
  vi.stubGlobal("document", new EventTarget());
});

afterEach(() => vi.unstubAllGlobals());

/** Drops a file while the form is for one client; it is read once the form is for another. Returns what the draft then holds. */
async function dropAndSwitch(role: "operator" | "client", from: string, to: string) {
  const decoding = Promise.withResolvers<{ close(): void }>();
  vi.stubGlobal("createImageBitmap", () => decoding.promise);
  const { access } = await import("./access.ts");
  const { changeDraft, draft } = await import("./draft-store.ts");
  const { leftOut, takeFiles } = await import("./incoming-images.ts");
  const identity = { role, client: role, clients: ["atelier", "studio"] } as unknown as Identity;
  access.set({ kind: "open", health: {} as Health, identity });
  changeDraft({ type: "workflow", workflow: "image-from-reference" });
  changeDraft({ type: "set", change: { client: from } });
  const taking = takeFiles([new File(["bytes"], "bag.png", { type: "image/png" })], 3);
  changeDraft({ type: "set", change: { client: to } });
  decoding.resolve({ close: () => undefined });
  await taking;
  return { names: draft.get().images.map((image) => image.kind === "file" && image.name), said: leftOut.get() };
}

it("leaves out a file that is read only once the operator's form is for another client, and says so", async () => {
  expect(await dropAndSwitch("operator", "atelier", "studio")).toEqual({
    names: [],
    said: ["The form is no longer for atelier: add bag.png again to use it for another."],
  });
  expect((await dropAndSwitch("operator", "atelier", "")).names).toEqual([]);
});

it.each([
  ["operator", "atelier", "atelier"],
  ["operator", "", "studio"],
  ["client", "", ""],
] as const)("adds a file for the %s whose form is for “%s”, then for “%s”", async (role, from, to) => {
  expect(await dropAndSwitch(role, from, to)).toEqual({ names: ["bag.png"], said: [] });
});
