import type { FeedFrame } from "../../schemas/event.ts";

/** One who watches the feed, by socket or by stream. */
export interface FeedWatcher {
  /** Scheme and host that links in its frames start with. */
  readonly origin: string;
  /** The number up to which it has caught up; null once it has all and gets changes as they happen. */
  readonly cursor: number | null;
  caughtUpTo(cursor: number | null): void;
  /** Whether it takes more now; a slow reader's pipe fills up. */
  hasRoom(): boolean;
  /** False when it is gone. `json` is the frame as text, made once for all watchers of an origin. */
  send(frame: FeedFrame, json: string): boolean;
}
