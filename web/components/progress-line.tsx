import styles from "./progress-line.module.css";

/** An estimate as a line; the words beside it say how sure it is. */
export function ProgressLine({ fraction, label }: { readonly fraction: number; readonly label: string }) {
  return (
    <div
      className={styles.line}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(fraction * 100)}
      style={{ "--fraction": fraction }}
    />
  );
}
