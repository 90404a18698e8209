import { Button } from "../../components/button.tsx";
import { type Filter, isNarrowed } from "../../state/filter.ts";
import styles from "./empty-wall.module.css";

interface Words {
  readonly title: string;
  readonly text: string;
}

const WORDS: Readonly<Record<Filter["show"], Words>> = {
  all: {
    title: "Nothing on the line yet",
    text: "Describe an image, press Develop, and its print hangs here: first blank paper, then the picture. You can close the page meanwhile; jobs go on without it.",
  },
  active: { title: "Nothing in progress", text: "Jobs that wait, develop or try again appear here." },
  ready: { title: "No finished prints", text: "Images are kept here once they are ready." },
  failed: { title: "Nothing failed", text: "Jobs that failed appear here, with the reason." },
  canceled: { title: "Nothing canceled", text: "Jobs that were canceled appear here, and can be tried again." },
};

const NOTHING_PINNED: Words = {
  title: "Nothing pinned",
  text: "Pin a job to keep it and its images for as long as you like; it then appears here.",
};

const NO_MATCH: Words = {
  title: "No job matches",
  text: "No prompt, model, day or metadata fits all that is asked for.",
};

interface EmptyWallProps {
  readonly filter: Filter;
  /** Shows all jobs again; null where nothing but the status narrows the wall. */
  readonly onClear: (() => void) | null;
}

export function EmptyWall({ filter, onClear }: EmptyWallProps) {
  const onlyPinned = filter.pinned && filter.show === "all" && !isNarrowed({ ...filter, pinned: false });
  const { title, text } = onlyPinned ? NOTHING_PINNED : onClear === null ? WORDS[filter.show] : NO_MATCH;
  return (
    <div className={styles.empty}>
      <div className={styles.line} aria-hidden="true">
        <span />
        <span />
        <span />
      </div>
      <p className={styles.title}>{title}</p>
      <p>{text}</p>
      {onClear !== null && <Button onClick={onClear}>Show all jobs</Button>}
    </div>
  );
}
