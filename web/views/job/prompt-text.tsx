import { useState } from "react";
import { Button } from "../../components/button.tsx";
import styles from "./prompt-text.module.css";

/** A longer prompt is folded, so that the rest of the job stays visible. */
const LONG_CHARS = 360;

/** The prompt with its line breaks; a long one is folded. */
export function PromptText({ text }: { readonly text: string }) {
  const [open, setOpen] = useState(false);
  const long = text.length > LONG_CHARS;
  return (
    <div>
      <p dir="auto" className={styles.prompt} data-folded={(long && !open) || undefined}>
        {text}
      </p>
      {long && (
        <div className={styles.more}>
          <Button look="quiet" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? "Show less" : "Show the whole prompt"}
          </Button>
        </div>
      )}
    </div>
  );
}
