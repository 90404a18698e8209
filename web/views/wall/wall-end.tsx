import { useEffect, useEffectEvent, useRef, useState } from "react";
import { Button } from "../../components/button.tsx";
import { isShutOut } from "../../data/access.ts";
import { failureWords } from "../../state/failure-words.ts";
import type { Listing } from "../../state/job-list.ts";
import styles from "./job-wall.module.css";

interface WallEndProps {
  readonly listing: Listing;
  /** Fetches the next page. */
  readonly onReach: () => Promise<void>;
}

/** The next page is fetched when the end is this close to the visible part of the wall. */
const AHEAD = "800px";

/** The wait before a page that could not be fetched is requested again. */
const AGAIN_MS = 5_000;

/** Fetches the next page when the reader comes near the end, or presses the button; also repeats after a failure. */
export function WallEnd({ listing, onReach }: WallEndProps) {
  const [failure, setFailure] = useState<string | null>(null);
  const mark = useRef<HTMLDivElement>(null);
  const end = useRef<HTMLParagraphElement>(null);
  const busy = useRef(false);
  const { nextCursor } = listing;

  const fetchMore = async () => {
    if (busy.current) return;
    busy.current = true;
    setFailure(null);
    try {
      await onReach();
    } catch (error) {
      if (!(await isShutOut(error))) setFailure(failureWords(error).title);
    } finally {
      busy.current = false;
    }
  };
  const onSight = useEffectEvent(fetchMore);

  useEffect(() => {
    if (failure === null) return;
    const timer = setTimeout(() => void onSight(), AGAIN_MS);
    return () => clearTimeout(timer);
  }, [failure]);

  useEffect(() => {
    const element = mark.current;
    if (element === null || nextCursor === null) return;
    // A new observer for each page, so that an end that is still visible afterwards fetches again.
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) void onSight();
      },
      { rootMargin: AHEAD },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [nextCursor]);

  // After the last page the button is removed, and its focus passes to the words in its place.
  const hadFocus = useRef(false);
  useEffect(() => {
    if (nextCursor === null && hadFocus.current) end.current?.focus();
  }, [nextCursor]);

  return (
    <div ref={mark} className={styles.end}>
      {failure !== null && <p role="alert">{failure}.</p>}
      {nextCursor !== null ? (
        <Button
          look="quiet"
          onClick={fetchMore}
          onFocus={() => {
            hadFocus.current = true;
          }}
          onBlur={({ relatedTarget }) => {
            if (relatedTarget !== null) hadFocus.current = false;
          }}
        >
          Show older jobs
        </Button>
      ) : (
        <p tabIndex={-1} ref={end}>
          That is all.
        </p>
      )}
    </div>
  );
}
