import { announcement } from "../data/notices.ts";
import { useStore } from "../data/store.ts";

/** Where screen readers hear of what changes by itself. One for the whole page, there from the start. */
export function LiveRegion() {
  const { number, words } = useStore(announcement);
  return (
    <div role="status" aria-live="polite" className="unseen">
      <span key={number}>{words}</span>
    </div>
  );
}
