import styles from "./mark.module.css";

/** The sign: a safelight. */
export function Mark() {
  return (
    <svg className={styles.mark} viewBox="0 0 32 32" aria-hidden="true">
      <rect className={styles.case} width="32" height="32" rx="8" />
      <path className={styles.cord} d="M16 4v5" />
      <circle className={styles.glow} cx="16" cy="18" r="11" />
      <circle className={styles.bulb} cx="16" cy="18" r="7.5" />
    </svg>
  );
}
