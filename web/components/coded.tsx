import styles from "./coded.module.css";

/** A sentence of the API; text in backticks is drawn as code. */
export function Coded({ text }: { readonly text: string }) {
  const parts = text.split("`");
  // An odd number of backticks marks no code.
  if (parts.length % 2 === 0) return text;
  let at = 0;
  return parts.map((part, place) => {
    at += part.length + 1;
    return place % 2 === 1 ? (
      <code key={at} className={styles.code}>
        {part}
      </code>
    ) : (
      part
    );
  });
}
