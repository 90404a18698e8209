import type { Diagnosis } from "../../../schemas/doctor.ts";
import { inertText } from "./terminal-text.ts";

/** A diagnosis for a terminal: one line for each check, and below a failed one how to mend it. */
export function diagnosisText({ ok, version, time, checks }: Diagnosis): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap((check) => {
    const word = check.ok === null ? "?" : check.ok ? "ok" : "WRONG";
    const line = `  ${word.padEnd(6)} ${check.name.padEnd(width)}  ${inertText(check.seen)}`;
    return check.fix === null ? [line] : [line, `         ${" ".repeat(width)}  → ${inertText(check.fix)}`];
  });
  const failed = checks.filter((check) => check.ok === false).length;
  const verdict = ok ? "All is well." : `${failed} of ${checks.length} checks failed.`;
  return `Darkroom ${version}, ${time}\n\n${lines.join("\n")}\n\n${verdict}\n`;
}
