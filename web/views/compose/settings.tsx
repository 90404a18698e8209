import { type ReactNode, useState } from "react";
import styles from "./settings.module.css";

interface SettingsProps {
  /** What is set, for where the settings are folded away. */
  readonly words: string;
  /** Something in them must be mended: they are shown. */
  readonly needed: boolean;
  readonly children: ReactNode;
}

/** All settings: in the open on a wide window, folded on a phone, where the prompt and the prints come first. */
export function Settings({ words, needed, children }: SettingsProps) {
  const [open, setOpen] = useState(false);
  const shown = open || needed;
  return (
    <>
      <button
        type="button"
        className={styles.toggle}
        aria-expanded={shown}
        aria-controls="settings"
        onClick={() => setOpen(!open)}
      >
        <span className={styles.words}>{words}</span>
        <span className={styles.verb}>{shown ? "Fold" : "Change"}</span>
      </button>
      <div id="settings" className={styles.settings} data-shown={shown || undefined}>
        {children}
      </div>
    </>
  );
}
