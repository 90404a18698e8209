import { Hono } from "hono";
import { z } from "zod";
import { FaultRule } from "./core/fault.ts";
import { FAULT_WORDS, parseFaultOption } from "./core/fault-words.ts";
import { SettingsPatch, unknownQuotaModels } from "./core/settings.ts";
import { type Emulator, hashKey } from "./emulator.ts";
import type { EmulatorEnv } from "./wire-response.ts";

/** All paths below this are the emulator's own, not DashScope's. */
export const CONTROL_PREFIX = "/__emulator";

const Release = z.strictObject({ prompt: z.string().nullable().default(null) });
/** A complete rule, or its short words as on the command line. */
const RuleInput = z.union([FaultRule, z.strictObject({ rule: z.string() })]);

/** Settings without secrets: each key is replaced by its hash. */
function shownSettings({ state }: Emulator): object {
  const { apiKeys, regionKeys, ...rest } = state.settings;
  const hashed = (keys: readonly string[]) => keys.map((key) => `sha256:${hashKey(key)}`);
  const ofRegions = Object.fromEntries(Object.entries(regionKeys).map(([region, keys]) => [region, hashed(keys)]));
  return { ...rest, apiKeys: apiKeys === null ? null : hashed(apiKeys), regionKeys: ofRegions };
}

async function readJson(request: Request): Promise<unknown> {
  const text = await request.text();
  return text === "" ? {} : JSON.parse(text);
}

/** The control API; its routes and bodies are described in README.md beside this file. */
export function controlRoutes(emulator: Emulator): Hono<EmulatorEnv> {
  const { state, holds } = emulator;
  const routes = new Hono<EmulatorEnv>().basePath(CONTROL_PREFIX);
  routes.onError((error, c) => {
    if (error instanceof z.ZodError) return c.json({ error: z.prettifyError(error) }, 400);
    if (error instanceof SyntaxError) return c.json({ error: `the body is not JSON: ${error.message}` }, 400);
    throw error;
  });
  routes.get("/", (c) =>
    c.json({
      service: "darkroom-emulator",
      ready: true,
      routes: ["settings", "faults", "held", "release", "ledger", "summary", "reset"],
      faultWords: FAULT_WORDS,
    }),
  );

  routes.get("/settings", (c) => c.json(shownSettings(emulator)));
  routes.patch("/settings", async (c) => {
    const patch = SettingsPatch.parse(await readJson(c.req.raw));
    const unknown = unknownQuotaModels(patch);
    if (unknown.length > 0) return c.json({ error: `quotas: no such model: ${unknown.join(", ")}` }, 400);
    state.patchSettings(patch);
    return c.json(shownSettings(emulator));
  });

  routes.get("/faults", (c) => c.json({ rules: state.rules }));
  routes.post("/faults", async (c) => {
    const input = RuleInput.parse(await readJson(c.req.raw));
    const rule = "rule" in input ? parseFaultOption(input.rule) : input;
    return "error" in rule ? c.json({ error: rule.error }, 400) : c.json(state.addRule(rule), 201);
  });
  routes.delete("/faults", (c) => {
    state.clearRules();
    return c.json({ rules: [] });
  });
  routes.delete("/faults/:id", (c) => {
    const removed = state.removeRule(c.req.param("id"));
    return removed ? c.json({ rules: state.rules }) : c.json({ error: "no such rule" }, 404);
  });

  routes.get("/held", (c) => c.json({ held: holds.list }));
  routes.post("/release", async (c) => {
    const { prompt } = Release.parse(await readJson(c.req.raw));
    return c.json({ released: holds.release(prompt) });
  });

  routes.get("/ledger", (c) => {
    state.settleTasks();
    const since = Number(c.req.query("since") ?? 0);
    const prompt = c.req.query("prompt");
    const fits = (entry: { readonly prompt: string | null; readonly atMs: number }): boolean =>
      entry.atMs >= since && (prompt === undefined || (entry.prompt ?? "").includes(prompt));
    return c.json({
      summary: state.ledger.summary(),
      calls: state.ledger.calls.filter(fits),
      images: state.ledger.images.filter(fits),
    });
  });
  routes.get("/summary", (c) => {
    state.settleTasks();
    return c.json(state.ledger.summary());
  });
  routes.post("/reset", (c) => {
    state.reset();
    return c.json({ ok: true });
  });
  return routes;
}
