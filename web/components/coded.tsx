import styles from "./coded.module.css";

/** A sentence of the API; what is in backticks is drawn as code. */
export function Coded({ text }: { readonly text: string }) {
  const parts = text.split("`");
  // A backtick without its other half is one of the sentence's own.
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
