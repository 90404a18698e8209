import type { FaultRuleInput, LiveRule } from "../../emulator/core/fault.ts";
import type { Settings, SettingsPatch } from "../../emulator/core/settings.ts";
import type { Held } from "../../emulator/emulator.ts";
import type { LedgerCall, LedgerImage, LedgerSummary } from "../../emulator/ledger.ts";
import { until } from "./until.ts";

/** All calls that upstream received and all images that it charged. */
export interface LedgerView {
  readonly summary: LedgerSummary;
  readonly calls: readonly LedgerCall[];
  readonly images: readonly LedgerImage[];
}

export type EmulatorControl = ReturnType<typeof emulatorControl>;

/** A client of the emulator's control API. Every method throws with the emulator's own words when it refuses. */
export function emulatorControl(baseUrl: string) {
  async function call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const init =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const response = await fetch(`${baseUrl}/__emulator${path}`, { method, ...init });
    const text = await response.text();
    if (!response.ok) throw new Error(`emulator: ${method} ${path}: ${response.status} ${text}`);
    // The emulator is ours and of the same commit, so its answers have its types.
    return JSON.parse(text) as Answer;
  }

  const control = {
    baseUrl,
    settings: () => call<Settings>("GET", "/settings"),
    /** Applies from the next call on, and stays after a kill. */
    patchSettings: (patch: SettingsPatch) => call<Settings>("PATCH", "/settings", patch),
    /** A rule in full, or in short words: `"429 x2 prompt=red"`. Rules are tried in the order they were added. */
    addFault: (rule: FaultRuleInput | string) =>
      call<LiveRule>("POST", "/faults", typeof rule === "string" ? { rule } : rule),
    faults: async () => (await call<{ rules: LiveRule[] }>("GET", "/faults")).rules,
    removeFault: (id: string) => call<unknown>("DELETE", `/faults/${id}`),
    clearFaults: () => call<unknown>("DELETE", "/faults"),
    /** Calls that wait because of a `hold` fault. */
    held: async () => (await call<{ held: Held[] }>("GET", "/held")).held,
    /** Resolves once a call with this text in its prompt is held. */
    untilHeld: (prompt: string) =>
      until(`a held call for "${prompt}"`, async () =>
        (await control.held()).find((held) => held.prompt?.includes(prompt)),
      ),
    /** Releases held calls: those with this text in their prompt, or all. */
    release: async (prompt: string | null = null) =>
      (await call<{ released: number }>("POST", "/release", { prompt })).released,
    /** The calls and images with this text in their prompt, or all. */
    ledger: (prompt?: string) =>
      call<LedgerView>("GET", prompt === undefined ? "/ledger" : `/ledger?prompt=${encodeURIComponent(prompt)}`),
    summary: () => call<LedgerSummary>("GET", "/summary"),
    /** Resolves with the ledger once `holds` is true of it. */
    untilLedger: (what: string, holds: (ledger: LedgerView) => boolean) =>
      until(what, async () => {
        const ledger = await control.ledger();
        return holds(ledger) ? ledger : undefined;
      }),
    /** Removes everything; the rules given at the start apply again. */
    reset: () => call<unknown>("POST", "/reset"),
  };
  return control;
}
