import { filterFromSearch, filterKey } from "../state/filter.ts";
import { lengthOf, listingOf } from "../state/job-list.ts";
import { jobList, shortenList } from "./live-jobs.ts";
import { isSelecting, lastWallPlace } from "./wall.ts";

/** With more known jobs the wall begins anew: about twenty screens, which a day of work fills from above. */
const MAX_KNOWN = 240;

/**
 * Jobs that may come while another view than the wall is open. By then the place on the wall that one would come back to has moved
 * far down, and few people step through so many jobs.
 */
const MAX_CAME = 1_000;

/**
 * Bounds the list of a page that stays open, until `signal`. The wall loads its first page and drops what is below once it knows
 * more than `MAX_KNOWN` jobs and the window is at its top. Any other view does so once `MAX_CAME` jobs have come.
 */
export function boundList(signal: AbortSignal): void {
  let wasWall = false;
  /** The fewest jobs known in another view; on the wall, those that remained when it was shortened last. Null before. */
  let fewest: number | null = null;
  const shorten = () => {
    const isWall = location.pathname === "/";
    if (isWall !== wasWall) fewest = null;
    wasWall = isWall;
    const filter = filterFromSearch(isWall ? location.search : lastWallPlace().search);
    const mayDrop = () => {
      if (signal.aborted || isWall !== (location.pathname === "/")) return false;
      if (!isWall) return true;
      // Selected jobs, and those of another filter, must stay.
      if (isSelecting.get() || filterKey(filterFromSearch(location.search)) !== filterKey(filter)) return false;
      // After coming back to the wall the window has not scrolled yet to where it was left.
      return Math.max(window.scrollY, lastWallPlace().scrollY) <= window.innerHeight;
    };
    if (!mayDrop()) return;
    const count = () => lengthOf(jobList.get(), listingOf(jobList.get(), filter));
    const known = count();
    if (!isWall || fewest !== null) fewest = Math.min(known, fewest ?? known);
    const most = isWall ? Math.max(MAX_KNOWN, fewest ?? 0) : MAX_CAME + (fewest ?? 0);
    if (known <= most) return;
    const remember = () => {
      if (mayDrop()) fewest = count();
    };
    // After a failure the next change or scroll tries again.
    shortenList(filter, mayDrop).then(remember, () => undefined);
  };
  signal.addEventListener("abort", jobList.subscribe(shorten));
  signal.addEventListener("abort", isSelecting.subscribe(shorten));
  // The window may reach its top after the change that made the wall too long. The wall notes the place in the same event.
  addEventListener("scroll", () => setTimeout(shorten), { passive: true, signal });
}
