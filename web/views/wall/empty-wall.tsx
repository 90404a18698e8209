import type { Filter } from "../../state/job-list.ts";
import styles from "./empty-wall.module.css";

const WORDS: Readonly<Record<Filter["show"], { readonly title: string; readonly text: string }>> = {
  all: {
    title: "Nothing on the line yet",
    text: "Describe an image, press Develop, and its print hangs here: first blank paper, then the picture. You can close the page meanwhile; jobs go on without it.",
  },
  active: { title: "Nothing in progress", text: "Jobs that wait, develop or try again appear here." },
  ready: { title: "No finished prints", text: "Images are kept here once they are ready." },
  failed: { title: "Nothing failed", text: "Jobs that failed or were canceled appear here, with the reason." },
};

export function EmptyWall({ filter }: { readonly filter: Filter }) {
  const { title, text } = WORDS[filter.show];
  return (
    <div className={styles.empty}>
      <div className={styles.line} aria-hidden="true">
        <span />
        <span />
        <span />
      </div>
      <p className={styles.title}>{title}</p>
      <p>{text}</p>
    </div>
  );
}
