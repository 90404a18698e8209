import type { ReactNode } from "react";
import { useFold } from "../../components/fold.ts";
import styles from "./settings.module.css";

interface SettingsProps {
  /** What is set, for where the settings are folded away. */
  readonly words: string;
  /** Not null when something in them must be mended: they unfold each time it becomes another. */
  readonly needed: number | null;
  readonly children: ReactNode;
}

/** All settings: in the open on a wide window, folded on a phone, where the prompt and the prints come first. */
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
