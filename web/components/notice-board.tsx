import { type MouseEvent, useRef } from "react";
import { announcement, dismissNotice, notices } from "../data/notices.ts";
import { useStore } from "../data/store.ts";
import { Icon } from "./icon.tsx";
import styles from "./notice-board.module.css";

/** Short messages at the page's edge. The live region announces them. */
export function NoticeBoard() {
  const shown = useStore(notices);
  /** The element that had the focus before this one. */
  const before = useRef<HTMLElement | null>(null);
  const dismiss = (event: MouseEvent<HTMLButtonElement>, id: number) => {
    const isByKeyboard = event.detail === 0;
    const others = [...(event.currentTarget.closest("ul")?.querySelectorAll("button") ?? [])];
    const next = others.find((button) => button !== event.currentTarget);
    dismissNotice(id);
    // The button is removed with its message: the focus passes to the next button, or to the element that had it before.
    if (isByKeyboard) (next ?? before.current ?? document.querySelector<HTMLElement>("main [data-heir]"))?.focus();
  };
  return (
    <section
      className={styles.board}
      aria-label="Messages"
      onFocus={({ relatedTarget, currentTarget }) => {
        const isFromOutside = relatedTarget instanceof HTMLElement && !currentTarget.contains(relatedTarget);
        if (isFromOutside) before.current = relatedTarget;
      }}
    >
      <ul>
        {shown.map((notice) => (
          <li key={notice.id} className={styles.notice} data-tone={notice.tone}>
            <Icon name={notice.tone === "done" ? "ready" : "failed"} />
            <span>{notice.words}</span>
            <button type="button" onClick={(event) => dismiss(event, notice.id)} aria-label="Dismiss">
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Announces to screen readers what changes by itself. One for the whole page, in the document from the start. */
export function LiveRegion() {
  const { number, words } = useStore(announcement);
  return (
    <div role="status" aria-live="polite" className="unseen">
      <span key={number}>{words}</span>
    </div>
  );
}
