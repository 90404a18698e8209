import { countChars } from "../../state/draft-check.ts";
import styles from "./char-count.module.css";

/** How many of the allowed characters are used; a warning elsewhere says what happens beyond them. */
export function CharCount({ text, max }: { readonly text: string; readonly max: number }) {
  const count = countChars(text);
  return (
    <span id="prompt-count" className={styles.count} data-over={count > max || undefined}>
      {count} of {max} characters
    </span>
  );
}
