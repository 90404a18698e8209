import { useState } from "react";
import { failureWords } from "../state/failure-words.ts";
import { Button } from "./button.tsx";
import { passFocusOn } from "./focus.ts";
import styles from "./load-failure.module.css";

interface LoadFailureProps {
  /** The missing part, which begins the message. */
  readonly what: string;
  readonly error: unknown;
  /** Tries again now, beside the automatic tries. Never rejects. */
  readonly onAgain: () => Promise<void>;
}

/** Shown instead of a part that could not be loaded: the reason, and a button to try again. */
export function LoadFailure({ what, error, onAgain }: LoadFailureProps) {
  const [busy, setBusy] = useState(false);
  const { title, detail } = failureWords(error);
  const again = async () => {
    setBusy(true);
    await onAgain();
    setBusy(false);
  };
  return (
    <div className={styles.failure}>
      <p role="alert">
        <strong>{what} could not be loaded.</strong> {`${title}. ${detail}`}
      </p>
      <Button ref={passFocusOn} busy={busy} onClick={again}>
        {busy ? "Trying…" : "Try again"}
      </Button>
    </div>
  );
}
