import { useState } from "react";
import { Button } from "../../components/button.tsx";
import styles from "./prompt-text.module.css";

/** Beyond this a prompt is folded, so that the rest of the job stays in sight. */
const LONG_CHARS = 360;

/** The prompt as it was given, line breaks included; a long one folded. */
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
