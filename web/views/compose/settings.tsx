import type { ReactNode } from "react";
import { useFold } from "../../components/fold.ts";
import styles from "./settings.module.css";

interface SettingsProps {
  /** A summary of the settings, shown while they are folded away. */
  readonly words: string;
  /** Not null when a setting must be corrected: the settings unfold each time the number changes. */
  readonly needed: number | null;
  readonly children: ReactNode;
}

/** All settings: always visible in a wide window, folded on a phone, where the prompt and the prints come first. */
export function Settings({ words, needed, children }: SettingsProps) {
  const [shown, setShown] = useFold(needed);
  return (
    <>
      <button
        type="button"
        className={styles.toggle}
        aria-expanded={shown}
        aria-controls="settings"
        onClick={() => setShown(!shown)}
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
