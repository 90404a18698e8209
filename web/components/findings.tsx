import type { DraftField, Finding } from "../state/draft-check.ts";
import styles from "./field.module.css";

interface FindingsProps {
  /** The controls of the field name it by `aria-describedby`. */
  readonly id: string;
  readonly field: DraftField;
  readonly findings: readonly Finding[];
}

/** What is to be said of one field, told to screen readers as it changes. Always there, so that its coming is noticed. */
export function Findings({ id, field, findings }: FindingsProps) {
  return (
    <div id={id} aria-live="polite">
      {findings
        .filter((finding) => finding.field === field)
        .map((finding) => (
          <p key={finding.message} className={styles[finding.level]}>
            {finding.message}
          </p>
        ))}
    </div>
  );
}

/** Whether a field has an error, for `aria-invalid`. */
export function isInvalid(field: DraftField, findings: readonly Finding[]): boolean {
  return findings.some((finding) => finding.field === field && finding.level === "error");
}
