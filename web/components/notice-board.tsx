import { dismissNotice, notices } from "../data/notices.ts";
import { useStore } from "../data/store.ts";
import { Icon } from "./icon.tsx";
import styles from "./notice-board.module.css";

/** Short messages at the page's edge. What they say is announced by the live region. */
export function NoticeBoard() {
  const shown = useStore(notices);
  return (
    <section className={styles.board} aria-label="Messages">
      <ul>
        {shown.map((notice) => (
          <li key={notice.id} className={styles.notice} data-tone={notice.tone}>
            <Icon name={notice.tone === "done" ? "ready" : "failed"} />
            <span>{notice.words}</span>
            <button type="button" onClick={() => dismissNotice(notice.id)} aria-label="Dismiss">
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
