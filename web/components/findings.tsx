import type { DraftField, Finding } from "../state/draft-check.ts";
import styles from "./field.module.css";

interface FindingsProps {
  /** The controls of the field name it by `aria-describedby`. */
  readonly id: string;
  readonly field: DraftField;
  readonly findings: readonly Finding[];
}

/** The findings on one field, announced to screen readers as they change. Always in the document, so that a change is noticed. */
export function Findings({ id, field, findings }: FindingsProps) {
  // Two images may have the same problem: it is shown once.
  const byMessage = new Map(findings.filter((one) => one.field === field).map((one) => [one.message, one]));
  return (
    <div id={id} aria-live="polite">
      {[...byMessage.values()].map((finding) => (
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
