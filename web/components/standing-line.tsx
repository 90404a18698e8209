import type { Standing } from "../state/standing.ts";
import { Coded } from "./coded.tsx";
import { Icon } from "./icon.tsx";
import styles from "./standing-line.module.css";

/** The state of a job: an icon and words, never colour alone. */
export function StandingLine({ standing }: { readonly standing: Standing }) {
  return (
    <p className={styles.line} data-tone={standing.tone}>
      <Icon name={standing.tone} />
      <span className={styles.words}>
        <strong>{standing.title}</strong>
        {standing.detail !== null && (
          <span className={styles.detail}>
            {" "}
            <Coded text={standing.detail} />
          </span>
        )}
      </span>
    </p>
  );
}

/** The estimated progress as a line; the words beside it give the time left. */
export function ProgressLine({ fraction, label }: { readonly fraction: number; readonly label: string }) {
  return (
    <div
      className={styles.progress}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(fraction * 100)}
      style={{ "--fraction": fraction }}
    />
  );
}
