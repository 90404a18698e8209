/** Short words for faults, for the command line and for prompts. Pure. */
import { refusalOf } from "./error-table.ts";
import { Fault, type FaultInput, FaultRule, RESULT_FAULTS } from "./fault.ts";

const PLAIN: Readonly<Record<string, FaultInput>> = {
  hang: { type: "hang" },
  "cut-before-billing": { type: "cut-before-billing" },
  "cut-after-billing": { type: "cut-after-billing" },
  "cut-amid-answer": { type: "cut-after-billing", partial: true },
  "429": { type: "error", code: "Throttling.RateQuota" },
  "500": { type: "error", code: "InternalError" },
  "503": { type: "error", code: "ModelUnavailable" },
  "502": { type: "html", status: 502 },
  "504": { type: "html", status: 504 },
  "wrong-key": { type: "error", code: "InvalidApiKey" },
  arrears: { type: "error", code: "Arrearage" },
  unpurchased: { type: "error", code: "AccessDenied.Unpurchased" },
  moderation: { type: "error", code: "DataInspectionFailed" },
  "moderation-output": {
    type: "error",
    code: "DataInspectionFailed",
    message: "Output data may contain inappropriate content.",
    afterWork: true,
  },
  timeout: { type: "error", code: "RequestTimeOut", afterWork: true },
  "empty-body": { type: "empty-body" },
  "bad-json": { type: "bad-json" },
  "code-in-200": { type: "code-in-200" },
  "empty-content": { type: "empty-content" },
  redirect: { type: "redirect" },
  huge: { type: "huge" },
  "task-unknown": { type: "task-unknown" },
  "task-unseen": { type: "task-unseen" },
  "task-failed": { type: "task-failed" },
  "task-stuck": { type: "task-stuck", status: "RUNNING" },
  "task-pending": { type: "task-stuck", status: "PENDING" },
  "task-partial": { type: "task-partial", failed: 1 },
};

/** `1500`, `1500ms`, `20s`, `2m` → ms; null when it is no duration. */
export function parseDurationMs(text: string): number | null {
  const parts = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (parts === null) return null;
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[parts[2] ?? "ms"] ?? 1;
  return Number(parts[1]) * unit;
}

/** The words that `faultOf` knows, for help texts. */
export const FAULT_WORDS: readonly string[] = [
  ...Object.keys(PLAIN),
  "slow:20s",
  "expires:5s",
  "error:ANY.CODE",
  ...RESULT_FAULTS.map((how) => `result-${how}`),
];

/**
 * The fault that a word names: `429`, `slow:20s`, `error:Throttling.BurstRate`, `result-not-found`; null for an unknown word.
 * The case of the word does not matter; a code in it keeps its case.
 */
export function faultOf(word: string): Fault | null {
  const lower = word.toLowerCase();
  const plain = Object.hasOwn(PLAIN, lower) ? PLAIN[lower] : undefined;
  if (plain !== undefined) return Fault.parse(plain);
  const [given = "", value = ""] = word.split(/:(.*)/s, 2);
  const name = given.toLowerCase();
  const ms = parseDurationMs(value.toLowerCase());
  switch (name) {
    case "slow":
      return ms === null ? null : (Fault.safeParse({ type: "slow", extraMs: ms }).data ?? null);
    case "task-unseen":
      return /^[1-9]\d?$/.test(value) ? Fault.parse({ type: "task-unseen", reads: Number(value) }) : null;
    case "expires":
      return ms === null ? null : Fault.parse({ type: "link-expires", inMs: ms });
    case "error":
      return value === "" ? null : Fault.parse({ type: "error", code: refusalOf(value).code });
    default: {
      const result = Fault.safeParse({ type: "result", how: lower.replace(/^result-/, "") });
      return lower.startsWith("result-") && result.success ? result.data : null;
    }
  }
}

export interface Marker {
  readonly fault: Fault;
  /** How many calls with this prompt get the fault; null: all. */
  readonly times: number | null;
}

/** For a fault of the image's link `xN` counts downloads, for all others calls. */
function repeated(fault: Fault, times: number | null): Marker {
  return fault.type === "result" ? { fault: { ...fault, times }, times: null } : { fault, times };
}

/** The `[fault:WORD]` and `[fault:WORD xN]` of a prompt, in order. Unknown words are ignored. */
export function promptMarkers(prompt: string): readonly Marker[] {
  return Array.from(prompt.matchAll(/\[fault:([^\s\]]+)(?:\s+x(\d{1,4}))?\]/gi)).flatMap(([, word = "", count]) => {
    const fault = faultOf(word);
    return fault === null ? [] : [repeated(fault, count === undefined ? null : Number(count))];
  });
}

/** The fault for the call with this prompt after `earlier` others: markers take effect one after another. */
export function promptFault(markers: readonly Marker[], earlier: number): Fault | null {
  let passed = 0;
  for (const { fault, times } of markers) {
    if (times === null || earlier < passed + times) return fault;
    passed += times;
  }
  return null;
}

/** A rule from the command line: `WORD [xN] [P%] [model=…] [path=…] [prompt=…]`. `prompt=` comes last because it may hold spaces. */
export function parseFaultOption(text: string): FaultRule | { readonly error: string } {
  const [, head = "", prompt] = /^(.*?)(?:\s+prompt=(.*))?$/s.exec(text.trim()) ?? [];
  const [word = "", ...options] = head.split(/\s+/);
  const fault = faultOf(word);
  if (fault === null) return { error: `unknown fault "${word}"; known: ${FAULT_WORDS.join(", ")}` };
  const match: Record<string, string> = prompt === undefined ? {} : { prompt };
  let times: number | null = null;
  let probability = 1;
  for (const option of options) {
    const [, count, percent, name, value] = /^(?:x(\d+)|(\d+(?:\.\d+)?)%|(model|path)=(.+))$/.exec(option) ?? [];
    if (count !== undefined) times = Number(count);
    else if (percent !== undefined) probability = Number(percent) / 100;
    else if (name !== undefined && value !== undefined) match[name] = value;
    else return { error: `cannot read "${option}" in fault "${text}"` };
  }
  const rule = FaultRule.safeParse({ match, probability, ...repeated(fault, times) });
  return rule.success ? rule.data : { error: `fault "${text}": ${rule.error.issues[0]?.message ?? "wrong"}` };
}
