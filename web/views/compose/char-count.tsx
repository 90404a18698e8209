import { countChars } from "../../state/draft-check.ts";
import styles from "./char-count.module.css";

/** How much of the room is used; the words of a warning say what happens beyond it. */
export function CharCount({ text, max }: { readonly text: string; readonly max: number }) {
  const count = countChars(text);
  return (
    <span id="prompt-count" className={styles.count} data-over={count > max || undefined}>
      {count} of {max} characters
    </span>
  );
}
