import { useArrival } from "../../components/arrival.ts";
import { LoadFailure } from "../../components/load-failure.tsx";
import { refreshLimits, useLimits, useLimitsFailure } from "../../data/limits.ts";
import { failureWords } from "../../state/failure-words.ts";
import { LaneCard } from "./lane-card.tsx";
import styles from "./lanes.module.css";

/** What each lane believes and holds: the numbers that decide when a job starts. */
export function Lanes() {
  const heading = useArrival("Lanes");
  const limits = useLimits();
  const failure = useLimitsFailure();
  return (
    <>
      <header className={styles.head}>
        <h1 tabIndex={-1} ref={heading}>
          Lanes
        </h1>
        <p>
          Upstream limits how many images of a model may be started. Each model therefore has its lane: jobs line up in
          it and start as soon as the quota allows.
        </p>
      </header>
      {limits !== null && failure !== null && (
        <p role="status" className={styles.old}>
          These numbers are of before: they cannot be had now. {failureWords(failure).title}.
        </p>
      )}
      {limits === null && failure !== null ? (
        <LoadFailure error={failure} onAgain={refreshLimits} />
      ) : limits === null ? (
        <p role="status" className={styles.none}>
          Loading…
        </p>
      ) : limits.lanes.length === 0 ? (
        <p className={styles.none}>No lane is in use yet. One opens with the first job of a model.</p>
      ) : (
        <ul className={styles.lanes}>
          {limits.lanes.map((lane) => (
            <li key={lane.model}>
              <LaneCard lane={lane} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
